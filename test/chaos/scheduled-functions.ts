import { setTimeout as delay } from 'node:timers/promises';
import { parentPort } from 'node:worker_threads';
import { handler as recoverCounters } from '../../functions/scheduled/recover-counters.ts';
import { handler as relayOutbox } from '../../functions/scheduled/relay-outbox.ts';
import { handler as syncCounts } from '../../functions/scheduled/sync-counts.ts';
import { createLambdaContext } from '../../local/emulation/lambda-context.ts';

// The thread of schedule.ts.

type Handler = (event: object, context: object) => Promise<unknown>;
/** The report or the error of one run. */
export type ScheduledRun = { name: string; outcome: string };

/** The pause between runs of each scheduled function, which a real schedule runs once a minute. */
const PAUSE_MS = 1_000;
const RUN_MS = 30_000;

const run = async (name: string, handler: Handler, event: object): Promise<string> => {
  try {
    return JSON.stringify(await handler(event, createLambdaContext(name, RUN_MS)));
  } catch (error) {
    const cause = error instanceof Error ? error.cause : undefined;
    return `${error}${cause === undefined ? '' : ` (${cause})`}`;
  }
};

const repeat = async (name: string, handler: Handler, event: object = {}): Promise<void> => {
  for (;;) {
    const report: ScheduledRun = { name, outcome: await run(name, handler, event) };
    parentPort?.postMessage(report);
    await delay(PAUSE_MS);
  }
};

await Promise.all([
  repeat('relayOutbox', relayOutbox as Handler, { olderThanSeconds: 3 }),
  repeat('recoverCounters', recoverCounters as Handler),
  repeat('syncCounts', syncCounts as Handler),
]);
