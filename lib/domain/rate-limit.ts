/** Kinds of routes that are limited together. */
export const rateLimitClasses = ['sign-up', 'sign-in', 'reads', 'writes'] as const;
export type RateLimitClass = (typeof rateLimitClasses)[number];

/** So many requests in so many seconds; undefined where the limit is off. */
export type RateLimit = { count: number; seconds: number } | undefined;

/** What a client may still do. */
export type Quota = { remaining: number; resetSeconds: number; exceeded: boolean };

/** A request that was counted. */
export type CountedRequest = {
  /** The request need not wait for its quota: its subject was far from the limit a moment ago. */
  isFar: boolean;
  /** undefined when the limiter failed or was too slow. Never rejects. */
  quota: Promise<Quota | undefined>;
};

export type RateLimiter = {
  limitOf: (routeClass: RateLimitClass) => RateLimit;
  /** Counts one request of a user or a client's network. @returns undefined where the limit is off */
  take: (routeClass: RateLimitClass, subject: string) => CountedRequest | undefined;
};
