import type { Job } from '#lib/domain/job.ts';
import { toIndexable } from '#lib/domain/message.ts';
import { messageReference } from '#lib/domain/reference.ts';
import type { Messages } from '#lib/mysql/messages.ts';
import type { MessageIndex } from '#lib/opensearch/index/message-index.ts';
import type { Rebuild } from '#lib/opensearch/index/rebuild.ts';
import { retryUnavailable } from './retry-unavailable.ts';

type Uses = {
  messages: Pick<Messages, 'scan' | 'highestId'>;
  messageIndex: Pick<MessageIndex, 'beginRebuild'>;
  now: () => number;
};

const BATCH = 500;
/** The interval at which the cursor is saved and the progress is logged. */
const SAVE_MS = 5_000;
/** The remaining time below which no bulk request begins. A retried one must still end in time. */
const RESERVE_MS = 30_000;
const REFUSED_SHOWN = 20;

export type ReindexReport = {
  state: 'done' | 'stopped' | 'abandoned';
  /** Rows read in this run, and the share of all rows that is done. */
  rows: number;
  percent: number;
  /** The number of messages that the index can never accept, with some examples. */
  refused: number;
  examples: string[];
};

/**
 * Rebuilds the index from MySQL behind its alias, while search and writes continue. A run stops before its
 * time-out and reports its progress. The next run continues there, also after a crash.
 */
export const createReindex = ({ messages, messageIndex, now }: Uses) => {
  /** @returns the rebuild to continue; undefined after `abandon` */
  const begin = async (action: 'continue' | 'restart' | 'abandon', job: Job) => {
    const retry = retryUnavailable(job, RESERVE_MS);
    const rebuild = await retry(() => messageIndex.beginRebuild());
    if (action === 'continue') return rebuild;
    await retry(() => rebuild.abandon());
    return action === 'restart' ? retry(() => messageIndex.beginRebuild()) : undefined;
  };

  const copy = async (rebuild: Rebuild, highest: number, report: ReindexReport, job: Job) => {
    const retry = retryUnavailable(job, RESERVE_MS);
    const percentOf = (id: number) => (highest === 0 ? 100 : Math.min(100, Math.floor((100 * id) / highest)));
    let afterId = Number(rebuild.cursor ?? 0);
    let savedAtMs = now();
    while (afterId < highest && job.remainingMs() > RESERVE_MS) {
      const { messages: rows, lastId = highest } = await retry(() => messages.scan(afterId, BATCH));
      const { refused } = await retry(() => rebuild.write(rows.map(toIndexable)));
      afterId = lastId;
      report.rows += rows.length;
      report.percent = percentOf(afterId);
      report.refused += refused.length;
      for (const { message, reason } of refused.slice(0, REFUSED_SHOWN - report.examples.length))
        report.examples.push(`${messageReference(message)}: ${reason}`);
      if (now() - savedAtMs < SAVE_MS) continue;
      await retry(() => rebuild.save(String(afterId)));
      savedAtMs = now();
      job.log('The index is being rebuilt', {
        code: 'reindex-progress',
        rows: report.rows,
        percent: report.percent,
      });
    }
    return afterId;
  };

  /**
   * @param action `continue` continues an unfinished rebuild or begins one; `restart` drops an unfinished
   * rebuild and begins; `abandon` only drops it
   */
  return async (action: 'continue' | 'restart' | 'abandon', job: Job): Promise<ReindexReport> => {
    const retry = retryUnavailable(job, RESERVE_MS);
    const report: ReindexReport = { state: 'stopped', rows: 0, percent: 0, refused: 0, examples: [] };
    const rebuild = await begin(action, job);
    if (rebuild === undefined) return { ...report, state: 'abandoned' };
    // From here on consumers write new messages to both indexes.
    const highest = await retry(() => messages.highestId());
    const copiedTo = await copy(rebuild, highest, report, job);
    if (copiedTo < highest) {
      await retry(() => rebuild.save(String(copiedTo)));
      return report;
    }
    await retry(() => rebuild.finish());
    return { ...report, state: 'done', percent: 100 };
  };
};

export type Reindex = ReturnType<typeof createReindex>;
