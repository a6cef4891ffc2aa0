import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Connection } from '#lib/redis/client.ts';
import { guarded } from '#lib/redis/guard.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date'] });
});
afterEach(() => {
  vi.useRealTimers();
});

/** A client whose first connection ends during the call, after some time. @returns the number of calls so far */
const callsAfter = async (endsAfterMs: number): Promise<number> => {
  let calls = 0;
  const connection = { isOpen: false } as Connection;
  const result = guarded({ connection: async () => connection }, async () => {
    calls += 1;
    vi.setSystemTime(Date.now() + endsAfterMs);
    if (calls === 1) throw new Error('The connection is closed');
    return 'done';
  });
  await result.catch(() => undefined);
  return calls;
};

test('a call whose connection ends is made again on the next connection', async () => {
  expect(await callsAfter(14_000)).toBe(2);
});

test('no second call is made after 15 s, when the key that makes it harmless may have expired', async () => {
  expect(await callsAfter(15_000)).toBe(1);
});
