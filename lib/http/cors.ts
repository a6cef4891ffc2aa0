import { type HttpEvent, type HttpMiddleware, type HttpResult, headerOf } from './middleware.ts';

const exposed = 'Link, Retry-After, Search-Lag, Changes-Up-To, ETag, RateLimit, RateLimit-Policy';

/** The answer to a browser that asks whether a page may send a request (https://fetch.spec.whatwg.org/#cors-preflight-fetch). */
const preflight = (headers: Record<string, string>): HttpResult => ({
  statusCode: 204,
  headers: {
    ...headers,
    'Access-Control-Allow-Methods': 'GET, HEAD, POST, PUT, DELETE',
    'Access-Control-Allow-Headers': 'Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match',
    'Access-Control-Max-Age': '600',
  },
});

const isPreflight = (event: HttpEvent): boolean =>
  event.requestContext.http.method === 'OPTIONS' &&
  headerOf(event, 'access-control-request-method') !== undefined;

/**
 * Lets pages of the given origins read answers. Without origins it does nothing, and browsers refuse every page.
 * Credentials are never allowed, because a page sends its access token in a header of its own.
 */
export const cors = (origins: () => ReadonlySet<string>): HttpMiddleware => ({
  before: ({ event }) => {
    if (origins().size === 0) return;
    // A cache must not give one origin the answer to another.
    event.answerHeaders.Vary = 'Origin';
    const origin = headerOf(event, 'origin');
    if (origin === undefined || !origins().has(origin)) return;
    event.answerHeaders['Access-Control-Allow-Origin'] = origin;
    event.answerHeaders['Access-Control-Expose-Headers'] = exposed;
    if (isPreflight(event)) return preflight(event.answerHeaders);
  },
});
