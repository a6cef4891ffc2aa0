import { createHash, randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, describe, expect, inject, test } from 'vitest';
import { type EmailAddress, parseEmailAddress } from '#lib/domain/email-address.ts';
import { unavailable } from '#lib/domain/errors.ts';
import { createRedisClient } from '#lib/redis/connection/client.ts';
import { createSignInAttempts } from '#lib/redis/limits/sign-in-attempts.ts';
import { createKeys } from '#lib/redis/script/keys.ts';
import { openDirect } from '../support/stores.ts';

const client = createRedisClient(inject('urls').REDIS_URL, {
  timeoutMs: 10_000,
  keyPrefix: inject('names').keyPrefix,
  onError: () => undefined,
});
const redis = await openDirect(client);
afterAll(() => {
  client.close();
  redis.disconnect();
});

const hash = (text: string) => createHash('sha256').update(text).digest('base64url');
const keys = createKeys(`${inject('names').keyPrefix}${randomUUID()}:`);
const attempts = createSignInAttempts({ client, keys, hash });

const newAccount = (): EmailAddress =>
  parseEmailAddress(`${randomUUID()}@example.org`) ?? expect.unreachable();
const owner = '192.0.2.1';
const stranger = (number: number) => `198.51.100.${number}`;

const wrong = async () => undefined;
/** Tries with a wrong password. @returns undefined for an attempt that was let through, else its refusal */
const guess = async (email: EmailAddress, source: string, look: () => Promise<undefined> = wrong) =>
  attempts.attempt({ email, source }, look).catch(({ code, logCode, retryAfterSeconds }) => ({
    code,
    logCode,
    retryAfterSeconds,
  }));
const signIn = async (email: EmailAddress, source: string): Promise<void> => {
  expect(await attempts.attempt({ email, source }, async () => 'right')).toBe('right');
};
/** Each from an address of its own. */
const failFromStrangers = async (email: EmailAddress, failures: number): Promise<void> => {
  for (let number = 1; number <= failures; number += 1) {
    // The test does not wait for the delays of unknown addresses. Only their counts matter here.
    await redis.hset(keys.signIn('account', hash(email)), 'lastMs', 0);
    expect(await guess(email, stranger(number)), `failure ${number}`).toBeUndefined();
  }
};
const locked = { code: 'too-many-requests', logCode: 'sign-in-locked' };
const delayed = { code: 'too-many-requests', logCode: 'sign-in-delayed' };

describe('guesses at an account from one address', () => {
  test('are let through five times in five minutes, also when they come at once', async () => {
    const email = newAccount();
    const outcomes = await Promise.all(Array.from({ length: 8 }, () => guess(email, owner)));
    expect(outcomes.filter((outcome) => outcome === undefined)).toHaveLength(5);
    const refusal = await guess(email, owner);
    expect(refusal).toMatchObject(locked);
    expect(refusal?.retryAfterSeconds).toBeGreaterThan(290);
    expect(refusal?.retryAfterSeconds).toBeLessThanOrEqual(300);
  });

  test('hold up neither other addresses nor other accounts', async () => {
    const [email, other] = [newAccount(), newAccount()];
    for (let i = 0; i < 6; i += 1) await guess(email, stranger(1));
    expect(await guess(email, owner)).toBeUndefined();
    expect(await guess(other, stranger(1))).toBeUndefined();
  });

  test('are forgotten when one succeeds', async () => {
    const email = newAccount();
    for (let i = 0; i < 4; i += 1) await guess(email, owner);
    await signIn(email, owner);
    for (let i = 0; i < 5; i += 1) expect(await guess(email, owner)).toBeUndefined();
    expect(await guess(email, owner)).toMatchObject(locked);
  });
});

describe('guesses at an account from everywhere', () => {
  test.each([
    [10, 1],
    [11, 2],
    [12, 4],
    [13, 8],
    [14, 16],
    [15, 30],
    [40, 30],
  ])('after %i failures a new address waits %i seconds', async (failures, seconds) => {
    const email = newAccount();
    await failFromStrangers(email, failures);
    expect(await guess(email, owner)).toEqual({ ...delayed, retryAfterSeconds: seconds });
  });

  test('nine failures delay nobody', async () => {
    const email = newAccount();
    await failFromStrangers(email, 9);
    expect(await guess(email, owner)).toBeUndefined();
  });

  test('the owner does not notice at an address that signed in before', async () => {
    const email = newAccount();
    await signIn(email, owner);
    await failFromStrangers(email, 100);
    await signIn(email, owner);
    expect(await guess(email, stranger(101))).toMatchObject(delayed);
  });

  test('a new address has its turn after its delay, though strangers never stop', async () => {
    const email = newAccount();
    await failFromStrangers(email, 10);
    expect(await guess(email, owner)).toEqual({ ...delayed, retryAfterSeconds: 1 });
    const until = Date.now() + 1_000;
    for (let number = 20; Date.now() < until; number += 1) {
      await guess(email, stranger(number % 250));
      await delay(20);
    }
    await signIn(email, owner);
  });

  test('a turn is for one attempt', async () => {
    const email = newAccount();
    await failFromStrangers(email, 10);
    await guess(email, owner);
    await expect.poll(() => guess(email, owner), { timeout: 5_000, interval: 100 }).toBeUndefined();
    expect(await guess(email, owner)).toEqual({ ...delayed, retryAfterSeconds: 2 });
  });

  test('once they have been quiet for the delay, nobody waits', async () => {
    const email = newAccount();
    await failFromStrangers(email, 20);
    await redis.hset(keys.signIn('account', hash(email)), 'lastMs', Date.now() - 30_000);
    expect(await guess(email, owner)).toBeUndefined();
  });

  test('a success leaves the strangers’ failures counted', async () => {
    const email = newAccount();
    await signIn(email, owner);
    await failFromStrangers(email, 10);
    await signIn(email, owner);
    expect(await guess(email, stranger(99))).toMatchObject(delayed);
  });
});

describe('an attempt whose password nobody looked at', () => {
  const busy = unavailable('Too many sign-ins at once.');
  const unlooked = async (): Promise<undefined> => {
    throw busy;
  };

  test('counts nothing, however often it comes, and gets the error of the look', async () => {
    const email = newAccount();
    for (let i = 0; i < 12; i += 1) {
      await expect(attempts.attempt({ email, source: owner }, unlooked)).rejects.toBe(busy);
    }
    await signIn(email, owner);
    expect(await redis.hget(keys.signIn('account', hash(email)), 'failures')).toBeNull();
  });

  test('leaves earlier failures as they were', async () => {
    const email = newAccount();
    for (let i = 0; i < 4; i += 1) expect(await guess(email, owner)).toBeUndefined();
    for (let i = 0; i < 6; i += 1)
      expect(await guess(email, owner, unlooked)).toMatchObject({ code: 'unavailable' });
    expect(await guess(email, owner)).toBeUndefined();
    expect(await guess(email, owner)).toMatchObject(locked);
    expect(await redis.hget(keys.signIn('account', hash(email)), 'failures')).toBe('5');
  });

  test('keeps its turn while the account is under attack', async () => {
    const email = newAccount();
    await failFromStrangers(email, 10);
    await guess(email, owner);
    await expect
      .poll(async () => (await guess(email, owner, unlooked))?.code, { timeout: 5_000, interval: 100 })
      .toBe('unavailable');
    expect(await guess(email, owner, unlooked)).toMatchObject({ code: 'unavailable' });
    await signIn(email, owner);
  });

  test('counts as running until it ends: five run at once, and a sixth waits a second', async () => {
    const email = newAccount();
    const { promise, resolve } = Promise.withResolvers<undefined>();
    const looks: string[] = [];
    const running = Array.from({ length: 5 }, () =>
      attempts.attempt({ email, source: owner }, () => {
        looks.push('look');
        return promise;
      }),
    );
    await expect.poll(() => looks.length).toBe(5);
    expect(await guess(email, owner)).toEqual({ ...locked, retryAfterSeconds: 1 });
    expect(await guess(email, stranger(1))).toBeUndefined();
    resolve(undefined);
    await Promise.all(running);
    expect((await guess(email, owner))?.retryAfterSeconds).toBeGreaterThan(290);
  });

  test('ends by itself when its process died', async () => {
    const email = newAccount();
    const ended = Date.now() - 1;
    for (let i = 0; i < 20; i += 1) {
      for (const name of [
        keys.signIn('running', hash(`${email} ${owner}`)),
        keys.signIn('account-running', hash(email)),
      ])
        await redis.zadd(name, ended, `dead ${i}`);
    }
    expect(await guess(email, owner)).toBeUndefined();
    for (const name of await redis.keys(`${keys.prefix}*running*`)) await redis.expire(name, 60);
  });
});

test('Redis holds no address and no client', async () => {
  const email = newAccount();
  await signIn(email, owner);
  await guess(email, owner);
  const names = await redis.keys(`${keys.prefix}*`);
  expect(names.length).toBeGreaterThan(0);
  expect(names.join()).not.toMatch(/example\.org|192\.0\.2/);
  for (const name of names) expect(await redis.ttl(name), name).toBeGreaterThan(0);
});
