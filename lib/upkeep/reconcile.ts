import { setTimeout as delay } from 'node:timers/promises';
import type { Job } from '#lib/domain/job.ts';
import type { Message } from '#lib/domain/message.ts';
import { type MessageReference, messageReference } from '#lib/domain/reference.ts';
import type { Messages } from '#lib/mysql/messages.ts';
import type { IndexPosition, IndexScan } from '#lib/opensearch/index/index-scan.ts';
import type { DocumentState, MessageIndex } from '#lib/opensearch/index/message-index.ts';
import type { Publisher } from '#lib/rabbitmq/publisher.ts';
import { toIndexPublication } from '#lib/writing/hand-on.ts';
import { retryUnavailable } from './retry-unavailable.ts';

type Uses = {
  messages: Pick<Messages, 'scan' | 'find' | 'highestId'>;
  messageIndex: Pick<MessageIndex, 'fetchStates' | 'remove'>;
  indexScan: IndexScan;
  publisher: Pick<Publisher, 'publish' | 'depth'>;
  now: () => number;
};

/** First all rows of MySQL, then all documents of the index. */
export type ReconcileCursor = { afterId: number } | IndexPosition;

export type ReconcileOptions = {
  /** The approximate number of messages in a random sample, or 'whole' for all. */
  sample: number | 'whole';
  cursor?: ReconcileCursor | undefined;
  /** False only counts the differences. */
  repair: boolean;
  settledForSeconds: number;
  removeAtMost: number;
};

export type ReconcileReport = {
  state: 'done' | 'stopped';
  /** Rows that were compared with the index, and documents that were compared with MySQL. */
  rows: number;
  documents: number;
  /**
   * Messages that the index lacked, or had in an older version or without their sender. They were published to its queue,
   * and the index takes the same version again.
   */
  missing: number;
  older: number;
  /**
   * Documents that were newer than their row. They were removed. The index remembers a removed version for a
   * minute (`index.gc_deletes`) and refuses lower ones meanwhile. A later run finds the message missing and
   * publishes it.
   */
  newer: number;
  /** Documents without a row. They were removed from the index. */
  surplus: number;
  /** The `cursor` for the next run, if this one stopped early. */
  cursor?: ReconcileCursor;
};

const BATCH = 500;
/** The number of adjacent messages in each part of a sample. */
const SAMPLE_PART_SIZE = 100;
const RESERVE_MS = 30_000;
const PROGRESS_MS = 5_000;
/** A reconciliation pauses while the queue of the index holds more messages than this. */
const MAX_WAITING = 5_000;
const POLL_MS = 500;

/** Whether a function of an earlier release has written the document, beside those of this one during a deploy. */
const lacksSender = (row: Message, states: ReadonlyMap<string, DocumentState>): boolean => {
  const state = states.get(messageReference(row));
  return state?.version === row.version && Boolean(row.sender) && state.sender === undefined;
};

/** Compares one part, counts the differences, and repairs them. */
const createComparison = (
  { messages, messageIndex, indexScan, publisher, now }: Uses,
  { repair, settledForSeconds, removeAtMost }: ReconcileOptions,
  job: Job,
) => {
  const retry = retryUnavailable(job, RESERVE_MS);
  const report: ReconcileReport = {
    state: 'done',
    rows: 0,
    documents: 0,
    missing: 0,
    older: 0,
    newer: 0,
    surplus: 0,
  };
  const settledBefore = (now() - settledForSeconds * 1_000) * 1_000;
  const isInTime = () => job.remainingMs() > RESERVE_MS;

  const publish = async (rows: readonly Message[]): Promise<void> => {
    if (!repair || rows.length === 0) return;
    while (isInTime() && (await retry(() => publisher.depth('index-message'))).ready > MAX_WAITING)
      await delay(POLL_MS);
    await retry(() => publisher.publish(rows.map(toIndexPublication)));
  };

  const remove = async (refs: readonly MessageReference[]): Promise<void> => {
    if (!repair || refs.length === 0) return;
    if (report.surplus + report.newer > removeAtMost)
      throw new Error(
        `The index holds more than ${removeAtMost} messages that MySQL does not have so. Make sure that MYSQL_URL names the right database and that nothing is missing there; then run reconcile with a higher removeAtMost.`,
      );
    await retry(() => messageIndex.remove(refs));
  };

  /** An edit between the two reads looks like a difference, so MySQL is read a second time. */
  const findNewer = async (rows: readonly Message[], versionOf: (row: Message) => number) => {
    const ahead = rows.filter((row) => versionOf(row) > row.version);
    const looked = ahead.length === 0 ? [] : await retry(() => messages.find(ahead));
    return looked.filter((row) => versionOf(row) > row.version);
  };

  return {
    report,
    isInTime,
    retry,

    /** @returns the last row's id */
    rows: async (afterId: number, count: number): Promise<number | undefined> => {
      const { messages: scanned, lastId } = await retry(() => messages.scan(afterId, count));
      const rows = scanned.filter(({ version }) => version <= settledBefore);
      const states = await retry(() => messageIndex.fetchStates(rows));
      const versionOf = (row: Message) => states.get(messageReference(row))?.version ?? 0;
      const behind = rows.filter((row) => versionOf(row) < row.version || lacksSender(row, states));
      const missing = behind.filter((row) => versionOf(row) === 0).length;
      report.rows += rows.length;
      report.missing += missing;
      report.older += behind.length - missing;
      const newer = await findNewer(rows, versionOf);
      report.newer += newer.length;
      await remove(newer);
      await publish(behind);
      return lastId;
    },

    /** @returns the next position; undefined at the end */
    documents: async (position: IndexPosition, count: number): Promise<IndexPosition | undefined> => {
      const { messages: documents, next } = await retry(() => indexScan.page(position, count));
      const rows = documents.length === 0 ? [] : await retry(() => messages.find(documents));
      const stored = new Set(rows.map(messageReference));
      const surplus = documents.filter((document) => !stored.has(messageReference(document)));
      report.documents += documents.length;
      report.surplus += surplus.length;
      await remove(surplus);
      return next;
    },
  };
};

type Comparison = ReturnType<typeof createComparison>;

/**
 * Compares the versions of messages in MySQL and in the index, and repairs differences. MySQL is the system
 * of record. Missing and older documents are published to the index's queue, and surplus ones are removed.
 * Runs may be repeated, and two may run at once.
 */
export const createReconcile = (uses: Uses) => {
  const { messages, indexScan, now } = uses;

  const compareSample = async (compare: Comparison, size: number, highest: number) => {
    for (let left = size; left > 0; left -= SAMPLE_PART_SIZE) {
      if (!compare.isInTime()) return { ...compare.report, state: 'stopped' as const };
      const count = Math.min(SAMPLE_PART_SIZE, left);
      // The range begins before the first row, so that the first rows are chosen as often as the others.
      const from = Math.max(0, Math.floor(Math.random() * (highest + count)) - count);
      await compare.rows(from, count);
      await compare.documents(await compare.retry(() => indexScan.randomPosition()), count);
    }
    return compare.report;
  };

  const compareNext = async (
    compare: Comparison,
    at: ReconcileCursor,
    highest: number,
  ): Promise<ReconcileCursor | undefined> => {
    if (!('afterId' in at)) return compare.documents(at, BATCH);
    const lastId = await compare.rows(at.afterId, BATCH);
    return lastId === undefined || lastId >= highest ? { shard: 0, seqNo: -1 } : { afterId: lastId };
  };

  const compareAll = async (
    compare: Comparison,
    begin: ReconcileCursor,
    highest: number,
    { log }: Job,
  ): Promise<ReconcileReport> => {
    let loggedAtMs = now();
    for (let at: ReconcileCursor | undefined = begin; at !== undefined; ) {
      if (!compare.isInTime()) return { ...compare.report, state: 'stopped', cursor: at };
      at = await compareNext(compare, at, highest);
      if (at === undefined || now() - loggedAtMs < PROGRESS_MS) continue;
      loggedAtMs = now();
      log('MySQL and the index are being compared', {
        code: 'reconcile-progress',
        ...compare.report,
        cursor: at,
        highestId: highest,
      });
    }
    return compare.report;
  };

  return async (options: ReconcileOptions, job: Job): Promise<ReconcileReport> => {
    const compare = createComparison(uses, options, job);
    const highest = await compare.retry(() => messages.highestId());
    return options.sample === 'whole'
      ? compareAll(compare, options.cursor ?? { afterId: 0 }, highest, job)
      : compareSample(compare, options.sample, highest);
  };
};

export type Reconcile = ReturnType<typeof createReconcile>;
