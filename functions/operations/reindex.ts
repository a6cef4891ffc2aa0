import * as z from 'zod';
import { toIndexable } from '#lib/domain/message.ts';
import { jobHandler, type Run } from '#lib/job/job-handler.ts';
import { patiently } from '#lib/job/patiently.ts';
import type { Messages } from '#lib/mysql/messages.ts';
import type { MessageIndex } from '#lib/opensearch/message-index.ts';
import { messageIndex, messages, now } from '#lib/runtime/services.ts';

type Uses = {
  messages: Pick<Messages, 'scan' | 'highestId'>;
  messageIndex: Pick<MessageIndex, 'beginRebuild'>;
  now: () => number;
};

const schema = z.object({
  /** Go on with a rebuild that was left, or begin one; drop what was left and begin anew; or only drop it. */
  action: z.enum(['continue', 'restart', 'abandon']).default('continue'),
});

const BATCH = 500;
/** How often the place is kept and the progress told. */
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
 * Rebuilds the index from MySQL behind its alias, while search and writes go on. Stops before its time is over and says
 * how far it is; the next run goes on there, and so does one after a crash.
 */
export const reindex = async (
  { options: { action }, remainingMs, log }: Run<z.output<typeof schema>>,
  { messages, messageIndex, now }: Uses,
): Promise<ReindexReport> => {
  const again = <Result>(work: () => Promise<Result>) =>
    patiently(work, { remainingMs, reserveMs: RESERVE_MS });

  let rebuild = await again(() => messageIndex.beginRebuild());
  if (action !== 'continue') {
    const left = rebuild;
    await again(() => left.abandon());
    if (action === 'abandon') return { state: 'abandoned', rows: 0, percent: 0, refused: 0, examples: [] };
    rebuild = await again(() => messageIndex.beginRebuild());
  }

  // What is stored from here on is written to both indexes by whoever stores it.
  const highest = await again(() => messages.highestId());
  let afterId = Number(rebuild.cursor ?? 0);
  const report: ReindexReport = { state: 'stopped', rows: 0, percent: 0, refused: 0, examples: [] };
  const percent = () => (highest === 0 ? 100 : Math.min(100, Math.floor((100 * afterId) / highest)));
  let savedAtMs = now();
  while (afterId < highest && remainingMs() > RESERVE_MS) {
    const { messages: rows, lastId } = await again(() => messages.scan(afterId, BATCH));
    if (lastId === undefined) {
      afterId = highest;
      break;
    }
    const { refused } = await again(() => rebuild.write(rows.map(toIndexable)));
    afterId = lastId;
    report.rows += rows.length;
    report.refused += refused.length;
    for (const { message, reason } of refused.slice(0, REFUSED_SHOWN - report.examples.length)) {
      report.examples.push(`${message.token}:${message.chatNumber}:${message.messageNumber}: ${reason}`);
    }
    if (now() - savedAtMs >= SAVE_MS) {
      await again(() => rebuild.save(String(afterId)));
      savedAtMs = now();
      log('The index is being rebuilt', { rows: report.rows, percent: percent() });
    }
  }
  report.percent = percent();
  if (afterId < highest) {
    await again(() => rebuild.save(String(afterId)));
    return report;
  }
  await again(() => rebuild.finish());
  return { ...report, state: 'done', percent: 100 };
};

export const handler = jobHandler(schema, reindex, { messages, messageIndex, now });
