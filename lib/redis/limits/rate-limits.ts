import { createBoundedMap } from '#lib/concurrency/bounded-map.ts';
import { gather } from '#lib/concurrency/gather.ts';
import {
  type Quota,
  type RateLimit,
  type RateLimitClass,
  type RateLimiter,
  type RateLimitToken,
  rateLimitClasses,
} from '#lib/domain/rate-limit.ts';
import type { RedisClient } from '../connection/client.ts';
import type { Keys } from '../script/keys.ts';
import { defineScript, expecting, runScript } from '../script/script.ts';

/** How long a quota that this process has read remains valid for the next requests. */
const FRESH_MS = 1_000;
/** A subject with more than this, and more than a tenth of its limit left, is far from the limit. */
const FAR_FROM_LIMIT = 100;
const REMEMBERED_SUBJECTS = 10_000;

/** The count in Redis: requests in the window so far, and the remaining time of the window. */
type Count = { consumed: number; msBeforeNext: number };
type Known = { remaining: number; readAtMs: number; resetAtMs: number };

/**
 * Counts requests in a window that begins with the first of them. A key that never expires would refuse for good.
 * An access token that has ended must not use its user's quota: it is not counted.
 */
const countRequests = defineScript(
  { keys: ['key', 'present'], args: ['requests', 'seconds', 'generation'] },
  `if tonumber(redis.call('GET', present) or '0') > tonumber(generation) then return false end
   redis.call('SET', key, 0, 'EX', seconds, 'NX')
   local consumed = redis.call('INCRBY', key, requests)
   if redis.call('PTTL', key) < 0 then redis.call('EXPIRE', key, seconds) end
   return { consumed, redis.call('PTTL', key) }`,
  expecting<[consumed: number, msBeforeNext: number] | null>,
);

/** Takes a request out of the count again, in its window or in the next one. */
const giveBackRequest = defineScript(
  { keys: ['key'] },
  "if tonumber(redis.call('GET', key) or '0') > 0 then redis.call('DECR', key) end",
);

/**
 * Settles with the work, or with undefined after `timeoutMs`. Replies that arrived while this process was
 * busy are read first, so that a busy process does not skip its limits.
 */
const within = <Result>(timeoutMs: number, work: Promise<Result>): Promise<Result | undefined> =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(() => setImmediate(resolve, undefined), timeoutMs);
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });

/** A request that is to be counted. */
type Taken = { limiter: Limiter; name: string; subject: string; token: RateLimitToken };
type Limiter = {
  limit: NonNullable<RateLimit>;
  /** More requests left than this are far from the limit. */
  far: number;
  /** @returns 'ended' if the token has ended. @throws an Error when Redis fails */
  count: (subject: string, requests: number, token: RateLimitToken) => Promise<Count | 'ended'>;
  /** @throws an Error when Redis fails */
  giveBack: (subject: string) => Promise<void>;
};

const createLimiter = (
  limit: NonNullable<RateLimit>,
  client: RedisClient,
  keys: Keys,
  keyPrefix: string,
): Limiter => ({
  limit,
  far: Math.max(FAR_FROM_LIMIT, limit.count / 10),
  count: async (subject, requests, token) => {
    const values = {
      key: `${keyPrefix}:${subject}`,
      present: token === undefined ? keys.nothing : keys.generation(token.id),
      requests,
      seconds: limit.seconds,
      generation: token?.generation ?? 0,
    };
    const counted = await runScript(countRequests, values)(await client.connection());
    return counted === null ? 'ended' : { consumed: counted[0], msBeforeNext: counted[1] };
  },
  giveBack: async (subject) => {
    await runScript(giveBackRequest, { key: `${keyPrefix}:${subject}` })(await client.connection());
  },
});

/** The quotas of subjects as this process last read them, minus its requests since then. */
const createMemory = () => {
  const subjects = createBoundedMap<string, Known>(REMEMBERED_SUBJECTS);
  return {
    read: (name: string, remaining: number, msBeforeNext: number) => {
      const readAtMs = Date.now();
      subjects.set(name, { remaining, readAtMs, resetAtMs: readAtMs + msBeforeNext });
    },
    /** Notes one more request. @returns whether its subject was far from the limit a moment ago */
    isFar: (name: string, far: number): boolean => {
      const known = subjects.get(name);
      if (known === undefined) return false;
      known.remaining -= 1;
      const nowMs = Date.now();
      return nowMs < known.resetAtMs && nowMs - known.readAtMs < FRESH_MS && known.remaining >= far;
    },
  };
};

const quotaOf = ({ msBeforeNext }: Count, position: number, { count }: NonNullable<RateLimit>): Quota => ({
  remaining: Math.max(0, count - position),
  resetSeconds: Math.max(1, Math.ceil(msBeforeNext / 1_000)),
  exceeded: position > count,
});

/**
 * Rate limits across all processes, in fixed windows that begin with a subject's first request. Requests of
 * one subject in one turn of the event loop share one command, and each gets its own position.
 * @param onError gets the error when requests pass without a limit
 */
export const createRateLimits = ({
  client,
  keys,
  limits,
  timeoutMs,
  onError,
}: {
  client: RedisClient;
  keys: Keys;
  limits: Record<RateLimitClass, RateLimit>;
  /** A request passes if its count takes longer. */
  timeoutMs: number;
  onError: (error: Error) => void;
}): RateLimiter => {
  const limiters = new Map<RateLimitClass, Limiter>();
  for (const routeClass of rateLimitClasses) {
    const limit = limits[routeClass];
    if (limit) limiters.set(routeClass, createLimiter(limit, client, keys, keys.rateLimit(routeClass)));
  }
  const memory = createMemory();
  const report = (error: unknown) => onError(error instanceof Error ? error : new Error(String(error)));

  /** Never rejects. */
  const countBatch = async (
    { limiter, name, subject, token }: Taken,
    size: number,
  ): Promise<Count | undefined> => {
    try {
      const count = await within(timeoutMs, limiter.count(subject, size, token));
      if (count === undefined) throw new Error(`No answer within ${timeoutMs} ms`);
      if (count === 'ended') return undefined;
      memory.read(name, limiter.limit.count - count.consumed, count.msBeforeNext);
      return count;
    } catch (error) {
      report(error);
      return undefined;
    }
  };

  /** The requests that one command counts. */
  const batchOf = ({ name, token }: Taken): string => `${name} ${token?.generation ?? ''}`;

  /** Counts the requests of each subject and token generation with one command. Each gets its own position. */
  const takeOne = gather(
    async (taken: readonly Taken[]): Promise<readonly Promise<Quota | undefined>[]> => {
      const sizes = new Map<string, number>();
      const positions = taken.map((one) => {
        const position = (sizes.get(batchOf(one)) ?? 0) + 1;
        sizes.set(batchOf(one), position);
        return position;
      });
      const counts = new Map<string, Promise<Count | undefined>>();
      return taken.map(async (one, index) => {
        const size = sizes.get(batchOf(one)) ?? 1;
        const counting = counts.get(batchOf(one)) ?? countBatch(one, size);
        counts.set(batchOf(one), counting);
        const count = await counting;
        return count && quotaOf(count, count.consumed - size + (positions[index] ?? size), one.limiter.limit);
      });
    },
    { size: Number.POSITIVE_INFINITY },
  );

  return {
    limitOf: (routeClass) => limits[routeClass],
    take: (routeClass, subject, token) => {
      const limiter = limiters.get(routeClass);
      if (limiter === undefined) return undefined;
      const name = `${routeClass} ${subject}`;
      const quota = takeOne({ limiter, name, subject, token });
      const giveBack = async () => {
        if ((await quota) !== undefined) await limiter.giveBack(subject).catch(report);
      };
      return { isFar: memory.isFar(name, limiter.far), quota, giveBack };
    },
  };
};
