import type middy from '@middy/core';
import type { APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2, Context } from 'aws-lambda';
import type { Caller } from '#lib/auth/access-tokens.ts';
import type { RouteContract } from '#lib/contracts/route.ts';

/** The event of one request on its way through the middlewares; each adds what it finds out. */
export type HttpEvent = APIGatewayProxyEventV2 & {
  /** Of the route by which the request came. */
  contract: RouteContract;
  /** Headers of the answer, a problem as well as a success. */
  answerHeaders: Record<string, string>;
  /** By `authenticate`, where the route wants a bearer. */
  caller?: Caller;
  /** By `authenticate`, where the route wants Basic authentication. */
  credentials?: { user: string; password: string };
  /** By `limit`: headers that say what the client may still do. */
  quotaHeaders?: Promise<Record<string, string>>;
  /** By `readBody`: the JSON value. */
  content?: unknown;
  /** By `validate`: the fields of path, query and body in one object. */
  input?: Record<string, unknown>;
  /** By `idempotency`. */
  idempotency?: { key: string; fingerprint: string };
};

export type HttpResult = APIGatewayProxyStructuredResultV2;

/** A step on the way of a request, for `httpHandler`. */
export type HttpMiddleware = middy.MiddlewareObj<HttpEvent, HttpResult, Error, Context>;

/** @param name in lower case: {@link withLowerCaseNames} has made all names so */
export const headerOf = ({ headers }: Pick<HttpEvent, 'headers'>, name: string): string | undefined =>
  headers[name];

/** API Gateway sends header names in lower case; other callers may send any case. */
export const withLowerCaseNames = (
  headers: APIGatewayProxyEventV2['headers'],
): APIGatewayProxyEventV2['headers'] => {
  const names = Object.keys(headers);
  if (names.every((name) => name === name.toLowerCase())) return headers;
  return Object.fromEntries(names.map((name) => [name.toLowerCase(), headers[name]]));
};
