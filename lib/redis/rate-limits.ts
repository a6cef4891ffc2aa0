import RateLimiterRedis from 'rate-limiter-flexible/lib/RateLimiterRedis.js';
import RateLimiterRes from 'rate-limiter-flexible/lib/RateLimiterRes.js';
import { createBoundedMap } from '#lib/domain/bounded-map.ts';
import {
  type Quota,
  type RateLimit,
  type RateLimitClass,
  type RateLimiter,
  rateLimitClasses,
} from '#lib/domain/rate-limit.ts';
import type { RedisClient } from './client.ts';
import type { Keys } from './keys.ts';
import { defineScript, runScript } from './script.ts';

/** How long a quota that this process read still says something about the next request. */
const FRESH_MS = 1_000;
/** A subject with so much of its quota left, and a tenth of the limit at least, is far from the limit. */
const FAR_FROM_LIMIT = 100;
const REMEMBERED_SUBJECTS = 10_000;

/** What Redis counted: requests in the window so far, and how long the window lasts. */
type Count = { consumed: number; msBeforeNext: number };
/** Requests of one subject that are counted by one command. */
type Batch = { size: number; count: Promise<Count | undefined> };
type Known = { remaining: number; readAtMs: number; resetAtMs: number };

/** The library's script names nothing itself; it takes these, in this order. */
const countingScript = (lua: string) => defineScript({ keys: ['key'], args: ['points', 'seconds'] }, lua);

/**
 * What the library asks of a Redis client. It hands over its script once, and runs it by name; each run takes the
 * connection that is open then.
 */
const createStore = (client: RedisClient) => {
  let counting: ReturnType<typeof countingScript> | undefined;
  return {
    defineCommand: (_name: string, { lua }: { lua: string }) => {
      counting = countingScript(lua);
    },
    rlflxIncr: async ([key = '', points = '', seconds = '']: string[]) => {
      if (counting === undefined) throw new Error('The limiter has no script');
      return runScript(await client.connection(), counting, { key, points, seconds });
    },
  };
};

/**
 * Settles with the work, or with undefined after `timeoutMs`. Replies that came while this process was busy are read
 * before the time is over: a busy process must not switch its limits off.
 */
const within = <Result>(timeoutMs: number, work: Promise<Result>): Promise<Result | undefined> =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(() => setImmediate(resolve, undefined), timeoutMs);
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });

type Limiter = {
  limit: NonNullable<RateLimit>;
  /** More requests left than this are far from the limit. */
  far: number;
  /** @throws an Error when Redis fails */
  count: (subject: string, requests: number) => Promise<Count>;
};

const createLimiter = (
  limit: NonNullable<RateLimit>,
  storeClient: ReturnType<typeof createStore>,
  keyPrefix: string,
): Limiter => {
  const limiter = new RateLimiterRedis({
    storeClient,
    points: limit.count,
    duration: limit.seconds,
    keyPrefix,
  });
  return {
    limit,
    far: Math.max(FAR_FROM_LIMIT, limit.count / 10),
    count: async (subject, requests) => {
      // The library rejects with the same result when more was consumed than the limit allows.
      const result = await limiter.consume(subject, requests).catch((error: unknown) => {
        if (error instanceof RateLimiterRes) return error;
        throw error;
      });
      return { consumed: result.consumedPoints, msBeforeNext: result.msBeforeNext };
    },
  };
};

/** What the quotas of subjects were when this process last read them, less its requests since then. */
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
 * Rate limits over all processes: windows of a fixed length that begin with a subject's first request. Requests of one
 * subject that this process takes in one turn of its event loop are counted by one command, each at its own position.
 * @param onError told why requests are let pass unlimited
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
  /** A limiter that needs longer lets the request pass. */
  timeoutMs: number;
  onError: (error: Error) => void;
}): RateLimiter => {
  const store = createStore(client);
  const limiters = new Map<RateLimitClass, Limiter>();
  for (const routeClass of rateLimitClasses) {
    const limit = limits[routeClass];
    if (limit) limiters.set(routeClass, createLimiter(limit, store, keys.rateLimit(routeClass)));
  }
  const memory = createMemory();
  const open = new Map<string, Batch>();

  /** Never rejects. */
  const countBatch = async (limiter: Limiter, name: string, subject: string, batch: Batch) => {
    try {
      const count = await within(timeoutMs, limiter.count(subject, batch.size));
      if (count === undefined) throw new Error(`No answer within ${timeoutMs} ms`);
      memory.read(name, limiter.limit.count - count.consumed, count.msBeforeNext);
      return count;
    } catch (error) {
      onError(error instanceof Error ? error : new Error(String(error)));
      return undefined;
    }
  };

  const openBatch = (limiter: Limiter, name: string, subject: string): Batch => {
    const { promise, resolve } = Promise.withResolvers<Count | undefined>();
    const batch: Batch = { size: 0, count: promise };
    open.set(name, batch);
    setImmediate(() => {
      open.delete(name);
      resolve(countBatch(limiter, name, subject, batch));
    });
    return batch;
  };

  return {
    limitOf: (routeClass) => limits[routeClass],
    take: (routeClass, subject) => {
      const limiter = limiters.get(routeClass);
      if (limiter === undefined) return undefined;
      const name = `${routeClass} ${subject}`;
      const batch = open.get(name) ?? openBatch(limiter, name, subject);
      batch.size += 1;
      const behind = batch.size;
      const quota = batch.count.then(
        (count) => count && quotaOf(count, count.consumed - batch.size + behind, limiter.limit),
      );
      return { isFar: memory.isFar(name, limiter.far), quota };
    },
  };
};
