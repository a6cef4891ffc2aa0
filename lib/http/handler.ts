import middy from '@middy/core';
import type { APIGatewayProxyEventV2, Context } from 'aws-lambda';
import type { Caller } from '#lib/auth/access-tokens.ts';
import type { Input, Output, RouteContract } from '#lib/contracts/http/route.ts';
import { KnownError } from '#lib/domain/errors.ts';
import { lazy, type Providers, provide } from '#lib/runtime/lazy.ts';
import { logContext } from '#lib/runtime/log-context.ts';
import { prepareForRequest } from '#lib/runtime/services/servers.ts';
import { corsOrigins, trustedProxies } from '#lib/runtime/services/settings.ts';
import { forwardedAddress } from './client-address.ts';
import { cors } from './cors.ts';
import {
  expectHttpEvent,
  type HttpEvent,
  type HttpMiddleware,
  type HttpResult,
  withLowerCaseNames,
} from './middleware.ts';
import { readBody } from './read-body.ts';
import { respond } from './respond.ts';
import { validate } from './validate.ts';

/** The input of a function: the validated fields of path, query and body in one object, and the caller. */
export type Request<Contract extends RouteContract> = {
  input: Input<Contract>;
  /** Present on routes with authentication 'bearer'. */
  caller: Caller;
  /** Present on routes with authentication 'basic'. */
  credentials: { user: string; password: string };
  /** The caller's `Idempotency-Key`, and keyed hashes that differ for every other request under the same key. */
  idempotency: { key: string; fingerprint: string } | undefined;
  /** The versions of the item that the client expects; undefined if it named none. */
  expected?: readonly number[] | undefined;
  /** The network address of the client, as the gateway or the trusted proxies saw it. */
  clientAddress: string;
};

/** The result of a function: the response, or for lists the items and the query of the next page, if any. */
type Answer<Contract extends RouteContract> =
  Output<Contract> extends readonly unknown[]
    ? {
        items: Output<Contract>;
        next?: Record<string, string | number> | undefined;
        prev?: Record<string, string | number> | undefined;
        headers?: Record<string, string>;
        /** The answer has every change up to it; undefined if it may lag. */
        upTo?: number | undefined;
      }
    : Output<Contract> & {
        /** The version of an item that a PUT can change. */
        version?: number;
        /** As of a list. */
        upTo?: number | undefined;
      };

/** The last part of a function's time, reserved to answer a slow request before the gateway does. */
const TIME_TO_ANSWER_MS = 500;

const timedOut = () =>
  new KnownError(
    'unavailable',
    'The request took too long and may still be carried out. Repeat a write with the same Idempotency-Key.',
    { retryAfterSeconds: 5, logCode: 'request-timed-out' },
  );

const nobody: Caller = { id: 0, name: '', generation: 0 };
const noCredentials = { user: '', password: '' };

const requestOf = <Contract extends RouteContract>(event: HttpEvent): Request<Contract> => ({
  // The schemas are values and the contract is a type; `validate` has checked that the input matches both.
  input: event.input as Input<Contract>,
  caller: event.caller ?? nobody,
  credentials: event.credentials ?? noCredentials,
  idempotency: event.idempotency,
  expected: event.expected,
  clientAddress: event.clientAddress,
});

/** The contract of the route that API Gateway chose. A trailing slash makes no difference. */
const contractFinder = (contracts: readonly [RouteContract, ...RouteContract[]]) => {
  const [first, ...others] = contracts;
  if (others.length === 0) return () => first;
  const byRoute = new Map(contracts.map((contract) => [`${contract.method} ${contract.path}`, contract]));
  return ({ routeKey }: APIGatewayProxyEventV2) => byRoute.get(routeKey?.replace(/([^ ])\/$/, '$1')) ?? first;
};

/** The middlewares that differ between kinds of routes. */
type Steps = {
  /** Answers for errors. */
  problem: HttpMiddleware;
  /** Before anything of the request is read. */
  first: HttpMiddleware[];
  /** On validated input. */
  last: HttpMiddleware[];
};

const eventOf = (event: APIGatewayProxyEventV2, contract: RouteContract): HttpEvent => {
  const headers = withLowerCaseNames(event.headers);
  const { sourceIp } = event.requestContext.http;
  const clientAddress = forwardedAddress(headers['x-forwarded-for'] ?? '', sourceIp, trustedProxies());
  return { ...event, headers, contract, clientAddress, answerHeaders: {} };
};

/**
 * Returns a factory of Lambda handlers (HTTP API, payload 2.0). They validate the request and filter the answer by the
 * contract, and turn errors into problem documents.
 */
export const createHandlers =
  ({ problem, first, last }: Steps) =>
  /**
   * @param contract one contract, or several of the same function; the event's route selects one
   * @param providers the services that the function uses, made at its first request
   * @param more middlewares of this function only; they run before all others but `problem` and `cors`
   */
  <Contract extends RouteContract, Uses extends object = Record<never, never>>(
    contract: Contract | readonly [Contract, ...RouteContract[]],
    respondTo: (request: Request<Contract>, uses: Uses) => Promise<Answer<Contract>> | Answer<Contract>,
    providers?: Providers<Uses>,
    ...more: HttpMiddleware[]
  ) => {
    const contractOf = contractFinder('function' in contract ? [contract] : contract);
    const uses = lazy(() => provide<Uses>(providers ?? ({} as Providers<Uses>)));
    const handle = middy<HttpEvent, HttpResult, Error, Context>({
      // middy clears its timer when a request ends, so that a frozen environment thaws without one.
      timeoutEarlyInMillis: TIME_TO_ANSWER_MS,
      timeoutEarlyResponse: () => {
        throw timedOut();
      },
    })
      .use(problem)
      .use(cors(corsOrigins))
      .use(more)
      .before(prepareForRequest)
      .use(first)
      .use(readBody)
      .use(validate)
      .use(last)
      .handler(async (event: HttpEvent) =>
        respond(event, await respondTo(requestOf<Contract>(event), uses())),
      );

    return async (event: APIGatewayProxyEventV2, context: Context): Promise<HttpResult> => {
      expectHttpEvent(event);
      const { requestId } = event.requestContext;
      return logContext.run({ function: context.functionName, requestId }, () =>
        handle(eventOf(event, contractOf(event)), context),
      );
    };
  };
