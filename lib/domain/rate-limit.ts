/** A group of requests that share one limit. */
export const rateLimitClasses = ['sign-up', 'sign-in', 'bad-tokens', 'reads', 'writes'] as const;
export type RateLimitClass = (typeof rateLimitClasses)[number];

/** The allowed requests in a window; undefined if the limit is off. */
export type RateLimit = { count: number; seconds: number } | undefined;

/** The remaining requests of a client. */
export type Quota = { remaining: number; resetSeconds: number; exceeded: boolean };

/** A request that was counted. */
export type CountedRequest = {
  /**
   * True if the subject was far from its limit a moment ago, so that the request need not wait for its quota.
   */
  isFar: boolean;
  /** Undefined if the limiter failed or was too slow, or if the access token has ended. Never rejects. */
  quota: Promise<Quota | undefined>;
  /** Takes the request out of the count again, if it was counted. Never rejects. */
  giveBack: () => Promise<void>;
};

/** Whose quota a request uses, and by which access token, if it has one. */
export type RateLimitToken = { id: number; generation: number } | undefined;

export type RateLimiter = {
  limitOf: (routeClass: RateLimitClass) => RateLimit;
  /**
   * Counts one request of a user or a client's network, but none of an access token that has ended.
   * @returns undefined if the limit is off
   */
  take: (routeClass: RateLimitClass, subject: string, token?: RateLimitToken) => CountedRequest | undefined;
};
