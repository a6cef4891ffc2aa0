import { expect, it } from 'vitest';
import { cors } from '#lib/http/cors.ts';
import type { HttpResult } from '#lib/http/middleware.ts';
import { contractOf, httpEvent } from '../../../support/http-event.ts';

const page = 'https://chat.example.org';

const ask = (origins: string[], method: string, headers: Record<string, string>) => {
  const event = httpEvent(contractOf(), { headers });
  event.requestContext.http.method = method;
  const answer: HttpResult | undefined = cors(() => new Set(origins)).before?.({
    event,
    context: {} as never,
    response: undefined,
    error: undefined,
    internal: {},
  });
  return { answer, headers: event.answerHeaders };
};
const preflight = { origin: page, 'access-control-request-method': 'POST' };

it('is off without origins: no header, and OPTIONS is a method as any other', () => {
  expect(ask([], 'GET', { origin: page })).toEqual({ answer: undefined, headers: {} });
  expect(ask([], 'OPTIONS', preflight)).toEqual({ answer: undefined, headers: {} });
});

it('lets a page of a listed origin read answers and their headers, without credentials', () => {
  const { answer, headers } = ask([page, 'https://other.example.org'], 'GET', { origin: page });
  expect(answer).toBeUndefined();
  expect(headers).toEqual({
    Vary: 'Origin',
    'Access-Control-Allow-Origin': page,
    'Access-Control-Expose-Headers':
      'Link, Retry-After, Search-Lag, Changes-Up-To, ETag, RateLimit, RateLimit-Policy',
  });
});

it.each(['https://evil.example.org', 'null', `${page}.evil.org`, `${page}/`, 'http://chat.example.org', ''])(
  'keeps out a page of %s',
  (origin) => {
    expect(ask([page], 'GET', { origin }).headers).toEqual({ Vary: 'Origin' });
    expect(ask([page], 'OPTIONS', { ...preflight, origin }).answer).toBeUndefined();
  },
);

it('answers the preflight request of a browser', () => {
  const { answer } = ask([page], 'OPTIONS', preflight);
  expect(answer?.statusCode).toBe(204);
  expect(answer?.headers).toMatchObject({
    'Access-Control-Allow-Origin': page,
    'Access-Control-Allow-Methods': 'GET, HEAD, POST, PUT, DELETE',
    'Access-Control-Allow-Headers': 'Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match',
  });
  expect(answer?.headers).not.toHaveProperty('Access-Control-Allow-Credentials');
});
