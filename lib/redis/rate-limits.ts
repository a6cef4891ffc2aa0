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

type Limiter = { limiter: RateLimiterRedis; far: number };
type Known = { remaining: number; readAtMs: number; resetAtMs: number };

const quotaOf = (result: RateLimiterRes, exceeded: boolean): Quota => ({
  remaining: result.remainingPoints,
  resetSeconds: Math.max(1, Math.ceil(result.msBeforeNext / 1_000)),
  exceeded,
});

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

/**
 * Rate limits over all processes: windows of a fixed length that begin with a subject's first request.
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
    if (limit === undefined) continue;
    const keyPrefix = keys.rateLimit(routeClass);
    limiters.set(routeClass, {
      limiter: new RateLimiterRedis({
        storeClient: store,
        points: limit.count,
        duration: limit.seconds,
        keyPrefix,
      }),
      far: Math.max(FAR_FROM_LIMIT, limit.count / 10),
    });
  }
  const known = createBoundedMap<string, Known>(REMEMBERED_SUBJECTS);

  const count = async (limiter: RateLimiterRedis, subject: string): Promise<Quota> => {
    try {
      return quotaOf(await limiter.consume(subject), false);
    } catch (error) {
      if (error instanceof RateLimiterRes) return quotaOf(error, true);
      throw error;
    }
  };

  return {
    limitOf: (routeClass) => limits[routeClass],
    take: (routeClass, subject) => {
      const found = limiters.get(routeClass);
      if (found === undefined) return undefined;
      const name = `${routeClass} ${subject}`;
      const before = known.get(name);
      const nowMs = Date.now();
      const isFar =
        before !== undefined &&
        nowMs < before.resetAtMs &&
        nowMs - before.readAtMs < FRESH_MS &&
        before.remaining > found.far;
      if (before !== undefined) before.remaining -= 1;
      const quota = within(timeoutMs, count(found.limiter, subject)).then(
        (read) => {
          if (read === undefined) onError(new Error(`No answer within ${timeoutMs} ms`));
          else {
            const readAtMs = Date.now();
            known.set(name, {
              remaining: read.remaining,
              readAtMs,
              resetAtMs: readAtMs + read.resetSeconds * 1_000,
            });
          }
          return read;
        },
        (error: unknown) => {
          onError(error instanceof Error ? error : new Error(String(error)));
          return undefined;
        },
      );
      return { isFar, quota };
    },
  };
};
