import { toIndexable } from '#lib/domain/message.ts';
import { messageReference } from '#lib/domain/reference.ts';
import type { Messages } from '#lib/mysql/messages.ts';
import type { MessageIndex } from '#lib/opensearch/message-index.ts';
import type { Rebuild } from '#lib/opensearch/rebuild.ts';
import { patiently, type Running } from './patiently.ts';

type Uses = {
  messages: Pick<Messages, 'scan' | 'highestId'>;
  messageIndex: Pick<MessageIndex, 'beginRebuild'>;
  now: () => number;
};

const BATCH = 500;
/** How often the place is kept and the progress logged. */
const SAVE_MS = 5_000;
/** A bulk request that is tried again must still end in time. */
const RESERVE_MS = 30_000;
const REFUSED_SHOWN = 20;

export type ReindexReport = {
  state: 'done' | 'stopped' | 'abandoned';
  /** Rows read in this run, and how far of all that is. */
  rows: number;
  percent: number;
  /** Messages that the index can never take: their number, and some of them. */
  refused: number;
  examples: string[];
};

/**
 * Rebuilds the index from MySQL behind its alias, while search and writes go on. A run stops before its time is over and
 * says how far it is; the next run goes on there, and so does one after a crash.
 */
export const createReindex = ({ messages, messageIndex, now }: Uses) => {
  /** @returns the rebuild to go on with; undefined after an abandoned one */
  const begin = async (action: 'continue' | 'restart' | 'abandon', running: Running) => {
    const again = patiently(running, RESERVE_MS);
    const rebuild = await again(() => messageIndex.beginRebuild());
    if (action === 'continue') return rebuild;
    await again(() => rebuild.abandon());
    return action === 'restart' ? again(() => messageIndex.beginRebuild()) : undefined;
  };

  const copy = async (rebuild: Rebuild, highest: number, report: ReindexReport, running: Running) => {
    const again = patiently(running, RESERVE_MS);
    const percentOf = (id: number) => (highest === 0 ? 100 : Math.min(100, Math.floor((100 * id) / highest)));
    let afterId = Number(rebuild.cursor ?? 0);
    let savedAtMs = now();
    while (afterId < highest && running.remainingMs() > RESERVE_MS) {
      const { messages: rows, lastId = highest } = await again(() => messages.scan(afterId, BATCH));
      const { refused } = await again(() => rebuild.write(rows.map(toIndexable)));
      afterId = lastId;
      report.rows += rows.length;
      report.percent = percentOf(afterId);
      report.refused += refused.length;
      for (const { message, reason } of refused.slice(0, REFUSED_SHOWN - report.examples.length))
        report.examples.push(`${messageReference(message)}: ${reason}`);
      if (now() - savedAtMs < SAVE_MS) continue;
      await again(() => rebuild.save(String(afterId)));
      savedAtMs = now();
      running.log('The index is being rebuilt', {
        code: 'reindex-progress',
        rows: report.rows,
        percent: report.percent,
      });
    }
    return afterId;
  };

  /**
   * @param action `continue` goes on with a rebuild that was left, or begins one; `restart` drops what was left and begins;
   * `abandon` only drops it
   */
  return async (action: 'continue' | 'restart' | 'abandon', running: Running): Promise<ReindexReport> => {
    const again = patiently(running, RESERVE_MS);
    const report: ReindexReport = { state: 'stopped', rows: 0, percent: 0, refused: 0, examples: [] };
    const rebuild = await begin(action, running);
    if (rebuild === undefined) return { ...report, state: 'abandoned' };
    // Messages stored from here on are written to both indexes by their consumers.
    const highest = await again(() => messages.highestId());
    const copiedTo = await copy(rebuild, highest, report, running);
    if (copiedTo < highest) {
      await again(() => rebuild.save(String(copiedTo)));
      return report;
    }
    await again(() => rebuild.finish());
    return { ...report, state: 'done', percent: 100 };
  };
};

export type Reindex = ReturnType<typeof createReindex>;
