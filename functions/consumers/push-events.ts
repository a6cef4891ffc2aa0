import { signalHandler } from '#lib/consumer/signal-handler.ts';
import type { ClosingReason } from '#lib/contracts/frames/server.ts';
import { pushQueue } from '#lib/contracts/queues.ts';
import { type Signal, signal } from '#lib/contracts/signals.ts';
import { metricsLine } from '#lib/domain/metrics.ts';
import type { Posted, Posting } from '#lib/live/posting.ts';
import type { Connections } from '#lib/redis/live/connections.ts';
import { posting } from '#lib/runtime/services/live.ts';
import { connections } from '#lib/runtime/services/redis.ts';
import { metricsNamespace, now } from '#lib/runtime/services/settings.ts';

type Uses = {
  posting: Pick<Posting, 'close'>;
  connections: Pick<Connections, 'unauthenticatedAmong'>;
  metricsNamespace: string;
  now: () => number;
  write: (line: string) => void;
};

/** The connections to close, by their reasons. */
const endingsOf = (signals: readonly Signal[], late: readonly string[]): Map<ClosingReason, string[]> => {
  const endings = new Map<ClosingReason, string[]>(late.length === 0 ? [] : [['idle', [...late]]]);
  for (const one of signals)
    if ('close' in one) endings.set(one.reason, [...(endings.get(one.reason) ?? []), ...one.close]);
  return endings;
};

/** Closes connections with an ended token, and connections without authentication in time. Counts failed posts. */
export const pushEvents = async (
  signals: readonly Signal[],
  { posting, connections, metricsNamespace, now, write }: Uses,
): Promise<void> => {
  const checked = signals.flatMap((one) => ('check' in one ? [one.check] : []));
  const late = await connections.unauthenticatedAmong(checked);
  const posts = [...endingsOf(signals, late)].map(([reason, ids]) => posting.close(ids, reason));
  const results = await Promise.allSettled(posts);
  const done = results.flatMap((result): Posted[] => (result.status === 'fulfilled' ? [result.value] : []));
  const failed = results.flatMap((result): unknown[] =>
    result.status === 'rejected' ? [result.reason] : [],
  );
  const slow = done.reduce((sum, posted) => sum + posted.slow, 0);
  if (slow + failed.length > 0) {
    write(
      metricsLine(metricsNamespace, now(), {}, [
        { name: 'FailedPosts', unit: 'Count', value: failed.length },
        { name: 'SlowConnections', unit: 'Count', value: slow },
      ]),
    );
  }
  if (failed.length > 0) throw failed[0];
};

export const handler = signalHandler(pushQueue, signal, pushEvents, {
  posting,
  connections,
  metricsNamespace,
  now,
  write: () => (line: string) => {
    process.stdout.write(`${line}\n`);
  },
});
