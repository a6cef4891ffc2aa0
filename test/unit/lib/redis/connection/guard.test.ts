import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Connection } from '#lib/redis/connection/client.ts';
import { guarded } from '#lib/redis/connection/guard.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date'] });
});
afterEach(() => {
  vi.useRealTimers();
});

/**
 * A client whose first connection ends during the call, after some time, and whose second one opens after some time.
 * @returns the number of calls
 */
const callsAfter = async (endsAfterMs: number, opensAfterMs = 0): Promise<number> => {
  let calls = 0;
  let connections = 0;
  const client = {
    connection: async () => {
      connections += 1;
      if (connections > 1) vi.setSystemTime(Date.now() + opensAfterMs);
      return { isOpen: false } as Connection;
    },
  };
  const result = guarded(client, async () => {
    calls += 1;
    vi.setSystemTime(Date.now() + endsAfterMs);
    if (calls === 1) throw new Error('The connection is closed');
    return 'done';
  });
  await result.catch(() => undefined);
  return calls;
};

test('a call whose connection ends is made again on the next connection', async () => {
  expect(await callsAfter(5_000)).toBe(2);
});

test('no second call is made after 6 s, when the key that makes it harmless may have expired', async () => {
  expect(await callsAfter(6_000)).toBe(1);
});

test('the time until the next connection counts as well', async () => {
  expect(await callsAfter(3_000, 3_000)).toBe(1);
});
