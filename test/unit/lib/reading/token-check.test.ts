import { expect, it, onTestFinished, vi } from 'vitest';
import { unavailable } from '#lib/domain/errors.ts';
import { createTokenCheck } from '#lib/reading/token-check.ts';
import type { KnownGeneration } from '#lib/redis/revocation/generations.ts';

const noAnswer = () => Promise.reject(unavailable('No answer.'));

/** @returns what became of a token of generation 3, and how often MySQL was asked */
const check = async (inRedis: KnownGeneration | undefined, inMysql: number | 'gone' | undefined) => {
  let asked = 0;
  const tokenCheck = createTokenCheck({
    generations: { read: inRedis === undefined ? noAnswer : async () => inRedis },
    users: {
      findGenerations: async ([id = 0]) => {
        asked += 1;
        if (inMysql === undefined) return noAnswer();
        return new Map(inMysql === 'gone' ? [] : [[id, inMysql]]);
      },
    },
  });
  const outcome = await tokenCheck({ id: 7, generation: 3 }).then(
    () => 'permitted',
    (error) => error.logCode ?? error.code,
  );
  return [outcome, asked];
};
const certain = (present?: number) => ({ present, isCertain: true });
const uncertain = (present?: number) => ({ present, isCertain: false });

it.each([
  ['Redis has forgotten it', certain(), 9, ['permitted', 0]],
  ['it is the present one', certain(3), 9, ['permitted', 0]],
  ['it is newer, as after the restore of a backup', certain(2), 9, ['permitted', 0]],
  ['a later one has begun', certain(4), 3, ['token-ended', 0]],
  ['a later one has begun, and the gate is closed', uncertain(4), 3, ['token-ended', 0]],
  ['the gate is closed', uncertain(), 3, ['permitted', 1]],
  ['the gate is closed, and MySQL knows a later one', uncertain(3), 4, ['token-ended', 1]],
  ['Redis does not answer', undefined, 3, ['permitted', 1]],
  ['Redis does not answer, and MySQL knows a later one', undefined, 4, ['token-ended', 1]],
  ['Redis does not answer, and the user is gone', undefined, 'gone' as const, ['token-ended', 1]],
  ['nobody answers', undefined, undefined, ['unavailable', 1]],
  ['the gate is closed, and MySQL does not answer', uncertain(), undefined, ['unavailable', 1]],
])('of a token, while %s', async (_what, inRedis, inMysql, expected) => {
  expect(await check(inRedis, inMysql)).toEqual(expected);
});

it('waits a second for MySQL, so that a request gets its 503 in time', async () => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  const tokenCheck = createTokenCheck({
    generations: { read: noAnswer },
    users: { findGenerations: () => new Promise(() => undefined) },
  });
  const outcome = expect(tokenCheck({ id: 7, generation: 3 })).rejects.toMatchObject({ code: 'unavailable' });
  await vi.advanceTimersByTimeAsync(1_001);
  await outcome;
});
