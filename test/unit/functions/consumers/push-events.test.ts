import { expect, it } from 'vitest';
import type { Signal } from '#lib/contracts/signals.ts';
import { pushEvents } from '../../../../functions/consumers/push-events.ts';

const run = async (signals: Signal[], { slow = 0, fails = false } = {}) => {
  const closed: [string, string[]][] = [];
  const lines: Record<string, unknown>[] = [];
  const outcome = await pushEvents(signals, {
    posting: {
      close: async (ids: readonly string[], reason: string) => {
        closed.push([reason, [...ids]]);
        if (fails) throw new Error('The function does not answer');
        return { gone: 0, slow };
      },
    },
    connections: {
      unauthenticatedAmong: async (ids: readonly string[]) => ids.filter((id) => id === 'late'),
    },
    metricsNamespace: 'chat-test',
    now: () => 1,
    write: (line) => lines.push(JSON.parse(line)),
  }).then(
    () => 'done',
    (error: Error) => error.message,
  );
  return { outcome, closed, lines };
};

it('closes connections by their reasons, and those that have not authenticated', async () => {
  const { outcome, closed, lines } = await run([
    { close: ['a', 'b'], reason: 'signed-out' },
    { check: 'late' },
    { check: 'in-time' },
    { close: ['c'], reason: 'signed-out' },
  ]);
  expect(outcome).toBe('done');
  expect(closed).toEqual([
    ['idle', ['late']],
    ['signed-out', ['a', 'b', 'c']],
  ]);
  expect(lines).toEqual([]);
});

it('counts slow connections and failed posts for the alarms', async () => {
  const slow = await run([{ close: ['a'], reason: 'restart' }], { slow: 2 });
  expect(slow.lines).toMatchObject([{ FailedPosts: 0, SlowConnections: 2 }]);
  const failed = await run([{ close: ['a'], reason: 'restart' }], { fails: true });
  expect(failed.lines).toMatchObject([{ FailedPosts: 1, SlowConnections: 0 }]);
  expect(failed.outcome).toBe('The function does not answer');
});
