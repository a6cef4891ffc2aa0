import { createHash } from 'node:crypto';
import middy from '@middy/core';
import type { APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2, Context } from 'aws-lambda';
import * as z from 'zod';
import type { AccessTokens, Caller } from '#lib/auth/access-tokens.ts';
import type { Input, Output, RouteContract } from '#lib/contracts/route.ts';
import { statuses } from '#lib/contracts/statuses.ts';
import { badInput, type FieldError, isKnownError, KnownError, unauthenticated } from '#lib/domain/errors.ts';
import { limits } from '#lib/domain/limits.ts';
import { type Providers, provide } from '#lib/runtime/lazy.ts';
import { logger } from '#lib/runtime/logger.ts';
import { accessTokens } from '#lib/runtime/services.ts';

/** What a handler gets: the validated fields of path, query and body in one object, and who asks. */
export type Request<Contract extends RouteContract> = {
  input: Input<Contract>;
  /** Only behind routes with authentication 'bearer'. */
  caller: Caller;
  /** Only behind routes with authentication 'basic'. */
  credentials: { user: string; password: string };
  idempotencyKey: string | undefined;
};

/** What a handler gives: the response, or for lists the items and the query of the next page, if there is one. */
export type Answer<Contract extends RouteContract> =
  Output<Contract> extends readonly unknown[]
    ? {
        items: Output<Contract>;
        next?: Record<string, string | number> | undefined;
        headers?: Record<string, string>;
      }
    : Output<Contract>;

const challenges = { basic: 'Basic realm="chat", charset="UTF-8"', bearer: 'Bearer realm="chat"', none: '' };

const common = {
  'X-Content-Type-Options': 'nosniff', // https://cheatsheetseries.owasp.org/cheatsheets/REST_Security_Cheat_Sheet.html
  'Cache-Control': 'no-store',
};

/** RFC 9457. What is not a known error is logged with the request's id and answered without a word about it. */
const problem = (
  error: unknown,
  { authentication }: Pick<RouteContract, 'authentication'>,
): APIGatewayProxyStructuredResultV2 => {
  const known = isKnownError(error) ? error : undefined;
  const { status, title } = known ? statuses[known.code] : { status: 500, title: 'Internal Server Error' };
  if (known === undefined) logger.error('Unexpected error', { error });
  else if (known.code === 'unavailable')
    logger.warn('Unavailable', { reason: known.message, cause: String(known.cause ?? '') });
  return {
    statusCode: status,
    headers: {
      ...common,
      'Content-Type': 'application/problem+json',
      ...(known?.code === 'unauthenticated' ? { 'WWW-Authenticate': challenges[authentication] } : {}),
      ...(known?.retryAfterSeconds === undefined ? {} : { 'Retry-After': String(known.retryAfterSeconds) }),
    },
    body: JSON.stringify({
      type: 'about:blank',
      title,
      status,
      ...(known ? { detail: known.message } : {}),
      ...(known?.fields ? { errors: known.fields } : {}),
    }),
  };
};

const headerOf = (event: APIGatewayProxyEventV2, name: string): string | undefined => {
  const exact = event.headers[name];
  if (exact !== undefined) return exact;
  // API Gateway sends names in lower case; other callers may not.
  const key = Object.keys(event.headers).find((candidate) => candidate.toLowerCase() === name);
  return key === undefined ? undefined : event.headers[key];
};

const bearer = async (event: APIGatewayProxyEventV2, tokens: () => AccessTokens): Promise<Caller> => {
  const [, token] = /^Bearer +([^\s]+) *$/i.exec(headerOf(event, 'authorization') ?? '') ?? [];
  if (token === undefined)
    throw unauthenticated('An access token is needed: Authorization: Bearer <accessToken>.');
  return tokens().verify(token);
};

/** RFC 7617: UTF-8, the first colon ends the user's name. */
const basic = (event: APIGatewayProxyEventV2): { user: string; password: string } => {
  const [, encoded] = /^Basic +([A-Za-z0-9+/=_-]+) *$/i.exec(headerOf(event, 'authorization') ?? '') ?? [];
  const decoded = Buffer.from(encoded ?? '', 'base64').toString('utf8');
  const colon = decoded.indexOf(':');
  if (colon < 1) throw unauthenticated('Sign in with Authorization: Basic base64(email:password).');
  return { user: decoded.slice(0, colon), password: decoded.slice(colon + 1) };
};

const readBody = (event: APIGatewayProxyEventV2, { request }: RouteContract): unknown => {
  const raw = event.isBase64Encoded ? Buffer.from(event.body ?? '', 'base64') : Buffer.from(event.body ?? '');
  if (raw.length > limits.requestBytes) {
    throw new KnownError('too-large', `The body must not be longer than ${limits.requestBytes} bytes.`);
  }
  if (raw.length === 0 && request.bodyOptional) return {};
  const type = headerOf(event, 'content-type') ?? '';
  if (!/^application\/json\s*(;\s*charset="?utf-8"?\s*)?$/i.test(type)) {
    throw new KnownError('not-json', 'The body must be JSON: Content-Type: application/json.');
  }
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: false }).decode(raw));
  } catch {
    throw badInput([{ path: 'body', message: 'Must be well-formed JSON in UTF-8' }]);
  }
};

const fieldsOf = (error: z.ZodError): FieldError[] =>
  error.issues.flatMap((issue): FieldError[] =>
    issue.code === 'unrecognized_keys'
      ? issue.keys.map((key) => ({ path: [...issue.path, key].join('.'), message: 'Is not a known field' }))
      : [{ path: issue.path.join('.') || 'body', message: issue.message }],
  );

/** All faults of path, query and body at once. */
const validate = (
  contract: RouteContract,
  given: { path: unknown; query: unknown; body: unknown },
): Record<string, unknown> => {
  const fields: FieldError[] = [];
  const input: Record<string, unknown> = {};
  const { path, query, body } = contract.request;
  for (const [schema, value] of [
    [path, given.path],
    [query ?? z.strictObject({}), given.query],
    [body, given.body],
  ] as const) {
    if (schema === undefined) continue;
    const result = schema.safeParse(value);
    if (result.success) Object.assign(input, result.data);
    else fields.push(...fieldsOf(result.error));
  }
  if (fields.length > 0) throw badInput(fields);
  return input;
};

const idempotencyKeyOf = (event: APIGatewayProxyEventV2): string | undefined => {
  const key = headerOf(event, 'idempotency-key');
  if (key === undefined || (key.length <= limits.idempotencyKey && /^[\x21-\x7e]+$/.test(key))) return key;
  throw badInput([
    { path: 'Idempotency-Key', message: `Must be 1 to ${limits.idempotencyKey} visible ASCII characters` },
  ]);
};

/** RFC 8288, relative to the request's own path; what the caller asked for besides stays. */
const linkToNext = (event: APIGatewayProxyEventV2, next: Record<string, string | number>): string => {
  const query = new URLSearchParams(event.rawQueryString);
  query.delete('page');
  for (const [name, value] of Object.entries(next)) query.set(name, String(value));
  return `<${event.rawPath}?${query}>; rel="next"`;
};

const respond = (
  contract: RouteContract,
  event: APIGatewayProxyEventV2,
  answer: unknown,
): APIGatewayProxyStructuredResultV2 => {
  const list = contract.list
    ? (answer as {
        items: unknown;
        next?: Record<string, string | number>;
        headers?: Record<string, string>;
      })
    : undefined;
  const filtered = contract.response.parse(list ? list.items : answer);
  const body = typeof filtered === 'string' ? filtered : JSON.stringify(filtered);
  const headers: Record<string, string> = {
    ...common,
    'Content-Type': contract.produces ?? 'application/json',
    ...list?.headers,
    ...(list?.next ? { Link: linkToNext(event, list.next) } : {}),
  };
  if (contract.method !== 'GET') return { statusCode: 200, headers, body };
  // RFC 9110, 8.8.3 and 13.1.2. The digest costs no query; a client that has the page already is spared the page.
  headers.ETag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`;
  headers['Cache-Control'] = contract.authentication === 'none' ? 'no-cache' : 'private, no-cache';
  const known = (headerOf(event, 'if-none-match') ?? '')
    .split(',')
    .map((tag) => tag.trim().replace(/^W\//, ''));
  return known.includes(headers.ETag) || known.includes('*')
    ? { statusCode: 304, headers }
    : { statusCode: 200, headers, body };
};

/**
 * Makes a Lambda handler (HTTP API, payload 2.0) of a function: authenticates, validates by the contract, filters the
 * answer by the contract, and turns errors into problem documents.
 * @param contract one, or several that lead to the same function, told apart by the event's route
 */
export const httpHandler = <Contract extends RouteContract, Uses extends object = Record<never, never>>(
  contract: Contract | readonly [Contract, ...RouteContract[]],
  respondTo: (request: Request<Contract>, uses: Uses) => Promise<Answer<Contract>> | Answer<Contract>,
  providers?: Providers<Uses>,
) => {
  const contracts: readonly [RouteContract, ...RouteContract[]] =
    'function' in contract ? [contract] : contract;
  const contractOf = (event: APIGatewayProxyEventV2): RouteContract =>
    contracts.find(({ method, path }) => event.routeKey?.replace(/\/$/, '') === `${method} ${path}`) ??
    contracts[0];

  return middy<APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2, Error, Context>({
    // Tells what an environment that was frozen cannot: that there is no early shutdown to wait for.
    timeoutEarlyInMillis: 0,
  })
    .before(({ event, context }) => {
      logger.resetKeys();
      logger.appendKeys({ function: context.functionName, requestId: event.requestContext?.requestId });
    })
    .handler(async (event) => {
      const found = contractOf(event);
      try {
        const caller =
          found.authentication === 'bearer' ? await bearer(event, accessTokens) : { id: 0, name: '' };
        const credentials = found.authentication === 'basic' ? basic(event) : { user: '', password: '' };
        const body = found.request.body === undefined ? undefined : readBody(event, found);
        const idempotencyKey = found.creates ? idempotencyKeyOf(event) : undefined;
        const input = validate(found, {
          path: event.pathParameters ?? {},
          query: event.queryStringParameters ?? {},
          body,
        }) as Input<Contract>;
        const uses = provide<Uses>(providers ?? ({} as Providers<Uses>));
        return respond(found, event, await respondTo({ input, caller, credentials, idempotencyKey }, uses));
      } catch (error) {
        return problem(error, found);
      }
    });
};
