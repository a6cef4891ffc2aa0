import * as z from 'zod';
import { toIndexPublication } from '#lib/chat/indexing.ts';
import { type MessageReference, messageReference } from '#lib/domain/reference.ts';
import { jobHandler, type Run } from '#lib/job/job-handler.ts';
import { patiently } from '#lib/job/patiently.ts';
import type { Messages } from '#lib/mysql/messages.ts';
import type { IndexScan } from '#lib/opensearch/index-scan.ts';
import type { MessageIndex } from '#lib/opensearch/message-index.ts';
import type { Publisher } from '#lib/rabbitmq/publisher.ts';
import { indexScan, messageIndex, messages, now, publisher } from '#lib/runtime/services.ts';

type Uses = {
  messages: Pick<Messages, 'scan' | 'find' | 'highestId'>;
  messageIndex: Pick<MessageIndex, 'fetchVersions' | 'remove'>;
  indexScan: IndexScan;
  publisher: Pick<Publisher, 'publish' | 'depth'>;
  now: () => number;
};

const cursor = z.union([
  z.strictObject({ afterId: z.int().min(0) }),
  z.strictObject({ shard: z.int().min(0), seqNo: z.int().min(-1) }),
]);
type Cursor = z.output<typeof cursor>;

const schema = z.object({
  /** About so many messages, taken here and there; all when 'whole'. */
  sample: z.union([z.int().min(1).max(1_000_000), z.literal('whole')]).default(1_000),
  /** Where a run that stopped wants the next to go on; only for the whole. */
  cursor: cursor.optional(),
  /** Without it the differences are only counted. */
  mend: z.boolean().default(true),
  /** Messages written since are still on their way to the index, and are left out. */
  settledForSeconds: z.number().min(0).default(30),
  /** More than this is not removed from the index in one run: MySQL may be the wrong one, or not all there. */
  removeAtMost: z.int().min(0).default(1_000),
});

const BATCH = 500;
/** Of a sample, so many lie next to each other. */
const RUN = 100;
const RESERVE_MS = 30_000;
const PROGRESS_MS = 5_000;
/** The queue of the index takes no more from here while so many wait in it. */
const MAX_WAITING = 5_000;

export type ReconcileReport = {
  state: 'done' | 'stopped';
  /** Rows of MySQL that were looked for in the index, and documents of the index that were looked for in MySQL. */
  rows: number;
  documents: number;
  /** The index did not have the message, or an older version of it: published to its queue. */
  missing: number;
  older: number;
  /**
   * The index had a version that MySQL does not know: removed. The index remembers a removed version for a minute
   * (`index.gc_deletes`) and takes no lower one until then: the next run finds the message missing, and publishes it.
   */
  newer: number;
  /** MySQL does not have the message: removed from the index. */
  surplus: number;
  /** For the next run's `cursor`, when this one stopped. */
  cursor?: Cursor;
};

/**
 * Compares the messages of MySQL with those of the index by version, and mends the difference: what is missing or older
 * goes to the index's queue again, what is too much is removed. MySQL is the record. May run at any time, again, and
 * twice at once.
 */
export const reconcile = async (
  { options, remainingMs, log }: Run<z.output<typeof schema>>,
  { messages, messageIndex, indexScan, publisher, now }: Uses,
): Promise<ReconcileReport> => {
  const again = <Result>(work: () => Promise<Result>) =>
    patiently(work, { remainingMs, reserveMs: RESERVE_MS });
  const report: ReconcileReport = {
    state: 'done',
    rows: 0,
    documents: 0,
    missing: 0,
    older: 0,
    newer: 0,
    surplus: 0,
  };
  const settledBefore = (now() - options.settledForSeconds * 1000) * 1000;
  const inTime = () => remainingMs() > RESERVE_MS;

  const publish = async (rows: Awaited<ReturnType<Messages['find']>>): Promise<void> => {
    if (!options.mend || rows.length === 0) return;
    while (inTime() && (await again(() => publisher.depth('index-message'))).ready > MAX_WAITING) {
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
    await again(() => publisher.publish(rows.map(toIndexPublication)));
  };
  const remove = async (refs: readonly MessageReference[]): Promise<void> => {
    if (!options.mend || refs.length === 0) return;
    if (report.surplus + report.newer > options.removeAtMost)
      throw new Error(
        `The index holds more than ${options.removeAtMost} messages that MySQL does not have so. Make sure that MYSQL_URL names the right database and that nothing is missing there; then run reconcile with a higher removeAtMost.`,
      );
    await again(() => messageIndex.remove(refs));
  };

  /** @returns the last row's id */
  const compareRows = async (afterId: number, count: number): Promise<number | undefined> => {
    const { messages: scanned, lastId } = await again(() => messages.scan(afterId, count));
    const rows = scanned.filter(({ version }) => version <= settledBefore);
    const versions = await again(() => messageIndex.fetchVersions(rows));
    report.rows += rows.length;
    const behind = rows.filter((row) => {
      const version = versions.get(messageReference(row));
      if (version === undefined) report.missing += 1;
      else if (version < row.version) report.older += 1;
      return version === undefined || version < row.version;
    });
    // An edit may have come between the two looks: only a second look at MySQL tells.
    const ahead = rows.filter((row) => (versions.get(messageReference(row)) ?? 0) > row.version);
    const looked = ahead.length === 0 ? [] : await again(() => messages.find(ahead));
    const newer = looked.filter((row) => (versions.get(messageReference(row)) ?? 0) > row.version);
    report.newer += newer.length;
    await remove(newer);
    await publish(behind);
    return lastId;
  };

  const compareDocuments = async (position: { shard: number; seqNo: number }, count: number) => {
    const { messages: documents, next } = await again(() => indexScan.page(position, count));
    const stored = new Set(
      (documents.length === 0 ? [] : await again(() => messages.find(documents))).map(messageReference),
    );
    const surplus = documents.filter((document) => !stored.has(messageReference(document)));
    report.documents += documents.length;
    report.surplus += surplus.length;
    await remove(surplus);
    return next;
  };

  const highest = await again(() => messages.highestId());

  if (options.sample !== 'whole') {
    for (let left = options.sample; left > 0; left -= RUN) {
      if (!inTime()) return { ...report, state: 'stopped' };
      const count = Math.min(RUN, left);
      // So that the last rows are met as often as the others.
      const from = Math.max(0, Math.floor(Math.random() * (highest + count)) - count);
      await compareRows(from, count);
      await compareDocuments(await again(() => indexScan.randomPosition()), count);
    }
    return report;
  }

  let toldAtMs = now();
  const tell = (at: Cursor) => {
    if (now() - toldAtMs < PROGRESS_MS) return;
    toldAtMs = now();
    log('MySQL and the index are being compared', { ...report, cursor: at, highestId: highest });
  };
  let at: Cursor | undefined = options.cursor ?? { afterId: 0 };
  while (at !== undefined) {
    if (!inTime()) return { ...report, state: 'stopped', cursor: at };
    if ('afterId' in at) {
      const lastId: number | undefined = await compareRows(at.afterId, BATCH);
      at = lastId === undefined || lastId >= highest ? { shard: 0, seqNo: -1 } : { afterId: lastId };
    } else {
      at = await compareDocuments(at, BATCH);
    }
    if (at !== undefined) tell(at);
  }
  return report;
};

export const handler = jobHandler(schema, reconcile, {
  messages,
  messageIndex,
  indexScan,
  publisher,
  now,
});
