import type middy from '@middy/core';
import type { APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2, Context } from 'aws-lambda';
import type { Caller } from '#lib/auth/access-tokens.ts';
import type { RouteContract } from '#lib/contracts/http/route.ts';
import type { CountedRequest } from '#lib/domain/rate-limit.ts';

/** The event of one request. Each middleware adds its result. */
export type HttpEvent = APIGatewayProxyEventV2 & {
  /** The contract of the request's route. */
  contract: RouteContract;
  /** The network address of the client, as the gateway or the trusted proxies saw it. */
  clientAddress: string;
  /** Headers of every answer, successful or not. */
  answerHeaders: Record<string, string>;
  /** Set by `authenticate` on routes with authentication 'bearer'. */
  caller?: Caller;
  /** Set by `authenticate` on routes with authentication 'basic'. */
  credentials?: { user: string; password: string };
  /** Set by `checkToken`: rejects if the access token has ended, or if nobody can tell. */
  permission?: Promise<void>;
  /** Set by `limit`: the request in the count of its user or network. */
  counted?: CountedRequest;
  /** Set by `limit`: the `RateLimit` headers. */
  quotaHeaders?: Promise<Record<string, string>>;
  /** Set by `readBody`: the JSON value. */
  content?: unknown;
  /** Set by `validate`: the fields of path, query and body in one object. */
  input?: Record<string, unknown>;
  /** Set by `preconditions`: the versions that may be edited. */
  expected?: readonly number[];
  /** Set by `idempotency`. */
  idempotency?: { key: string; fingerprint: string };
};

export type HttpResult = APIGatewayProxyStructuredResultV2;

/** A middleware of `httpHandler`. */
export type HttpMiddleware = middy.MiddlewareObj<HttpEvent, HttpResult, Error, Context>;

/**
 * Refuses the events of other sources: REST APIs, queues, an empty object.
 * @throws Error that says so in one line
 */
export const expectHttpEvent = (event: unknown): void => {
  const { requestContext, rawPath, headers }: Partial<APIGatewayProxyEventV2> = event ?? {};
  const isOfHttpApi =
    typeof requestContext?.http?.method === 'string' &&
    typeof rawPath === 'string' &&
    typeof headers === 'object' &&
    headers !== null;
  if (!isOfHttpApi)
    throw new Error(
      'Not an event of an HTTP API: expected requestContext.http, rawPath and headers, as in test/events/getHealth.json',
    );
};

/** @param name in lower case, as {@link withLowerCaseNames} returns all names */
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
