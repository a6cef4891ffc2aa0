import { expect, test, vi } from 'vitest';
import { unavailable } from '#lib/domain/errors.ts';
import { createErasure, type ErasureStep } from '#lib/upkeep/erasure.ts';

/** A step with this many items in each of its slices. Each slice takes ten seconds. */
const given = (slices: Record<string, number[]>) => {
  const calls: string[] = [];
  const logged: object[] = [];
  let nowMs = 0;
  const steps = Object.entries(slices).map(
    ([name, left]): ErasureStep => ({
      name,
      slice: async () => {
        calls.push(name);
        nowMs += 10_000;
        return left.shift() ?? 0;
      },
    }),
  );
  const job = {
    remainingMs: () => 100_000 - nowMs,
    log: (_text: string, facts: object) => logged.push(facts),
  };
  return { steps, calls, logged, job, now: () => nowMs };
};

test('steps run side by side, until none has work left', async () => {
  const { steps, calls, job, now } = given({ chats: [3, 2], users: [1] });
  expect(await createErasure(steps, { now })(job)).toEqual({ chats: 5, users: 1 });
  expect(calls).toEqual(['chats', 'users', 'chats', 'users', 'chats']);
});

test('a run ends after 50 seconds, and before the time of the function is over', async () => {
  const endless = () => given({ chats: Array<number>(100).fill(1_000) });
  const { steps, calls, job, now } = endless();
  expect(await createErasure(steps, { now })(job)).toEqual({ chats: 5_000 });
  expect(calls).toHaveLength(5);
  const short = endless();
  const remainingMs = () => 20_000 - short.now();
  await createErasure(short.steps, { now: short.now })({ ...short.job, remainingMs });
  expect(short.calls).toHaveLength(2);
});

test('a step that fails stops no other, and the run fails at its end', async () => {
  const { steps, calls, logged, job, now } = given({ users: [1, 1] });
  const failure = unavailable('The search index does not answer.');
  const failing: ErasureStep = { name: 'index', slice: () => Promise.reject(failure) };
  await expect(createErasure([failing, ...steps], { now })(job)).rejects.toBe(failure);
  expect(calls).toEqual(['users', 'users', 'users', 'users']);
  expect(logged).toEqual([
    { code: 'erasure-failed', step: 'index', reason: expect.stringContaining('does not answer') },
  ]);
});

test('a step that waits delays no other', async () => {
  const { steps, calls, job, now } = given({ chats: [1, 1] });
  const released = Promise.withResolvers<number>();
  const waiting: ErasureStep = { name: 'accounts', slice: () => released.promise };
  const run = createErasure([waiting, ...steps], { now })(job);
  await vi.waitFor(() => expect(calls).toHaveLength(3));
  released.resolve(0);
  expect(await run).toEqual({ accounts: 0, chats: 2 });
});
