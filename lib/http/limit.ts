import { rateLimitClassOf } from '#lib/contracts/http/rate-limit-class.ts';
import type { RouteContract } from '#lib/contracts/http/route.ts';
import { clientNetwork } from '#lib/domain/client-network.ts';
import { KnownError } from '#lib/domain/errors.ts';
import type { Quota, RateLimit, RateLimitClass, RateLimiter } from '#lib/domain/rate-limit.ts';
import type { HttpEvent, HttpMiddleware } from './middleware.ts';

/** Takes from the quota of the user, or of the client's network if nobody has signed in or the token is bad. */
const take = ({ caller, clientAddress }: HttpEvent, routeClass: RateLimitClass, limiter: RateLimiter) =>
  caller === undefined || routeClass === 'bad-tokens'
    ? limiter.take(routeClass, clientNetwork(clientAddress))
    : limiter.take(routeClass, String(caller.id), caller);

/** https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/ (version 10) */
const headersOf = (
  routeClass: RateLimitClass,
  limit: RateLimit,
  quota: Quota | undefined,
): Record<string, string> => ({
  ...(limit === undefined
    ? {}
    : { 'RateLimit-Policy': `"${routeClass}";q=${limit.count};w=${limit.seconds}` }),
  ...(quota === undefined
    ? {}
    : { RateLimit: `"${routeClass}";r=${quota.remaining};t=${quota.resetSeconds}` }),
});

/**
 * Counts the request and refuses it beyond the limit. If the subject is far from its limit, the request does
 * not wait for the count first: the count is sent together with the request's own commands. The answer's
 * headers need it.
 * @throws too-many-requests
 */
export const countRequest = async (
  event: HttpEvent,
  routeClass: RateLimitClass,
  limiter: RateLimiter,
): Promise<void> => {
  const taken = take(event, routeClass, limiter);
  if (taken === undefined) return;
  if (routeClass !== 'bad-tokens') event.counted = taken;
  const rate = limiter.limitOf(routeClass);
  event.quotaHeaders = taken.quota.then((quota) => headersOf(routeClass, rate, quota));
  if (taken.isFar) return;
  const quota = await taken.quota;
  if (!quota?.exceeded) return;
  throw new KnownError('too-many-requests', 'Too many requests.', {
    retryAfterSeconds: quota.resetSeconds,
    logCode: 'rate-limited',
  });
};

/** Counts each request of a route with a limit, or of those routes alone that have one of these kinds of authentication. */
export const limit = (
  limiter: () => RateLimiter,
  ...kinds: RouteContract['authentication'][]
): HttpMiddleware => ({
  before: async ({ event }) => {
    const { contract } = event;
    if (kinds.length > 0 && !kinds.includes(contract.authentication)) return;
    const routeClass = rateLimitClassOf(contract);
    if (routeClass !== undefined) await countRequest(event, routeClass, limiter());
  },
  after: async ({ event, response }) => {
    if (event.quotaHeaders === undefined || !response) return;
    response.headers = { ...response.headers, ...(await event.quotaHeaders) };
  },
  /** Before `problem` answers. */
  onError: async ({ event }) => {
    Object.assign(event.answerHeaders, await event.quotaHeaders);
  },
});
