import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { afterAll, describe, expect, inject, onTestFinished, test, vi } from 'vitest';
import type { Quota, RateLimit, RateLimiter } from '#lib/domain/rate-limit.ts';
import { createRedisClient } from '#lib/redis/connection/client.ts';
import { createRateLimits } from '#lib/redis/limits/rate-limits.ts';
import { createKeys } from '#lib/redis/script/keys.ts';
import { openDirect } from '../support/stores.ts';

const { keyPrefix } = inject('names');
const open = (url: string) =>
  createRedisClient(url, { timeoutMs: 10_000, keyPrefix, onError: () => undefined });
const client = open(inject('urls').REDIS_URL);
const redis = await openDirect(client);
afterAll(() => {
  client.close();
  redis.disconnect();
});

const off = {
  'sign-up': undefined,
  'sign-in': undefined,
  'bad-tokens': undefined,
  reads: undefined,
  writes: undefined,
};
/** No bound that a busy machine could meet. */
const timeoutMs = 20_000;
const newKeys = () => createKeys(`${inject('names').keyPrefix}${randomUUID()}:`);
/** Several processes of one cell. */
const newProcesses = (count: number, writes: RateLimit) => {
  const keys = newKeys();
  return Array.from({ length: count }, () =>
    createRateLimits({
      client,
      keys,
      limits: { ...off, writes },
      timeoutMs,
      onError: (error) => expect.unreachable(error.message),
    }),
  );
};
const take = async (limiter: RateLimiter, subject = '7') =>
  (await limiter.take('writes', subject)?.quota) as Quota;

describe('a limit', () => {
  test('counts down, refuses beyond it, and begins again after its seconds', async () => {
    const [limiter] = newProcesses(1, { count: 2, seconds: 1 });
    if (limiter === undefined) return expect.unreachable();
    expect(await take(limiter)).toEqual({ remaining: 1, resetSeconds: 1, exceeded: false });
    expect(await take(limiter)).toMatchObject({ remaining: 0, exceeded: false });
    expect(await take(limiter)).toMatchObject({ remaining: 0, exceeded: true });
    await expect.poll(async () => (await take(limiter)).exceeded, { timeout: 5_000 }).toBe(false);
  });

  test('is one for all processes, exact under concurrency', async () => {
    const processes = newProcesses(4, { count: 100, seconds: 60 });
    const quotas = await Promise.all(
      Array.from({ length: 200 }, (_, i) => take(processes[i % 4] ?? expect.unreachable())),
    );
    expect(quotas.filter(({ exceeded }) => !exceeded)).toHaveLength(100);
  });

  test('is of each subject and each class by itself', async () => {
    const keys = newKeys();
    const limit = { count: 1, seconds: 60 };
    const limiter = createRateLimits({
      client,
      keys,
      limits: { ...off, reads: limit, writes: limit },
      timeoutMs,
      onError: () => expect.unreachable(),
    });
    expect((await take(limiter, '1')).exceeded).toBe(false);
    expect((await take(limiter, '2')).exceeded).toBe(false);
    expect((await limiter.take('reads', '1')?.quota)?.exceeded).toBe(false);
    expect((await take(limiter, '1')).exceeded).toBe(true);
  });

  test('counts no access token that has ended, one by one or among others', async () => {
    const keys = newKeys();
    const limiter = createRateLimits({
      client,
      keys,
      limits: { ...off, reads: { count: 3, seconds: 60 } },
      timeoutMs,
      onError: (error) => expect.unreachable(error.message),
    });
    const of = async (generation: number) => limiter.take('reads', '7', { id: 7, generation })?.quota;
    await redis.set(keys.generation(7), 1);
    for (let i = 0; i < 5; i += 1) expect(await of(0)).toBeUndefined();
    expect(await redis.exists(`${keys.rateLimit('reads')}:7`)).toBe(0);
    const quotas = await Promise.all([of(0), of(1), of(0), of(1), of(0)]);
    expect(quotas.map((quota) => quota?.remaining)).toEqual([undefined, 2, undefined, 1, undefined]);
    // A token of a sign-in that Redis has not heard of is a good one.
    expect(await of(2)).toMatchObject({ remaining: 0, exceeded: false });
    expect(await of(1)).toMatchObject({ exceeded: true });
    expect(await of(0)).toBeUndefined();
  });

  test('ends also for a key that lost its end', async () => {
    const keys = newKeys();
    const limiter = createRateLimits({
      client,
      keys,
      limits: { ...off, writes: { count: 5, seconds: 30 } },
      timeoutMs,
      onError: (error) => expect.unreachable(error.message),
    });
    const key = `${keys.rateLimit('writes')}:7`;
    await redis.set(key, 5);
    expect(await take(limiter)).toMatchObject({ exceeded: true, resetSeconds: 30 });
    expect(await redis.ttl(key)).toBeGreaterThan(0);
  });

  test('begins its window with the first request, and no later one moves its end', async () => {
    const [limiter] = newProcesses(1, { count: 100, seconds: 2 });
    if (limiter === undefined) return expect.unreachable();
    await take(limiter);
    // Requests go on all the time; the window ends all the same.
    await expect.poll(async () => (await take(limiter)).remaining, { timeout: 5_000 }).toBe(99);
  });

  test('that is off counts nothing', async () => {
    const [limiter] = newProcesses(1, undefined);
    expect(limiter?.take('writes', '7')).toBeUndefined();
  });
});

describe('a request need not wait for its quota', () => {
  test('when its subject was far from the limit a moment ago, and only then', async () => {
    const keys = newKeys();
    const limits = { ...off, writes: { count: 1_000, seconds: 60 } };
    const limiter = createRateLimits({
      client,
      keys,
      limits,
      timeoutMs,
      onError: () => expect.unreachable(),
    });
    const first = limiter.take('writes', '7');
    expect(first?.isFar).toBe(false);
    await first?.quota;
    const second = limiter.take('writes', '7');
    expect(second?.isFar).toBe(true);
    expect(await second?.quota).toMatchObject({ remaining: 998 });
    expect(limiter.take('writes', '8')?.isFar).toBe(false);
    // Another process uses most of the remaining quota.
    await redis.incrby(`${keys.rateLimit('writes')}:7`, 900);
    await take(limiter);
    expect(limiter.take('writes', '7')?.isFar).toBe(false);
  });

  test('never near the limit: none passes beyond it', async () => {
    const processes = newProcesses(2, { count: 300, seconds: 60 });
    let [passed, far] = [0, 0];
    for (let wave = 0; wave < 25; wave += 1) {
      await Promise.all(
        Array.from({ length: 20 }, async (_, i) => {
          const taken = processes[i % 2]?.take('writes', '7');
          if (taken?.isFar) far += 1;
          const quota = await taken?.quota;
          if (taken?.isFar || !quota?.exceeded) passed += 1;
        }),
      );
    }
    expect(passed).toBe(300);
    expect(far).toBeGreaterThan(0);
  });
});

describe('a limiter that cannot count lets the request pass', () => {
  const failing = (url: string) => {
    const client = open(url);
    onTestFinished(() => client.close());
    const onError = vi.fn();
    const limits = { ...off, writes: { count: 1, seconds: 60 } };
    return {
      limiter: createRateLimits({ client, keys: newKeys(), limits, timeoutMs: 50, onError }),
      onError,
    };
  };

  test('without Redis', async () => {
    const { limiter, onError } = failing('redis://127.0.0.1:1');
    expect(await take(limiter)).toBeUndefined();
    expect(onError).toHaveBeenCalledOnce();
  });

  test('when Redis takes the command and does not answer', async () => {
    const sockets = new Set<Socket>();
    const silent = createServer((socket) => sockets.add(socket));
    silent.listen(0, '127.0.0.1');
    await once(silent, 'listening');
    onTestFinished(() => {
      for (const socket of sockets) socket.destroy();
      silent.close();
    });
    const { limiter, onError } = failing(`redis://127.0.0.1:${(silent.address() as AddressInfo).port}`);
    expect(await take(limiter)).toBeUndefined();
    expect(onError).toHaveBeenCalledWith(new Error('No answer within 50 ms'));
  });

  test('when Redis refuses the command', async () => {
    const keys = newKeys();
    const onError = vi.fn();
    await redis.rpush(`${keys.rateLimit('writes')}:7`, 'not a number');
    const limits = { ...off, writes: { count: 1, seconds: 60 } };
    expect(await take(createRateLimits({ client, keys, limits, timeoutMs, onError }))).toBeUndefined();
    expect(onError).toHaveBeenCalledOnce();
  });
});
