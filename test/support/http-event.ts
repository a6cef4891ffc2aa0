import type { APIGatewayProxyEventV2 } from 'aws-lambda';
import * as z from 'zod';
import type { RouteContract } from '#lib/contracts/http/route.ts';
import type { HttpEvent, HttpMiddleware, HttpResult } from '#lib/http/middleware.ts';
import { createLambdaContext } from '../../local/emulation/lambda-context.ts';

/** An event of the HTTP API (payload 2.0) for a route, as API Gateway sends it. */
export const apiEvent = (
  { method, path }: Pick<RouteContract, 'method' | 'path'>,
  more: Partial<APIGatewayProxyEventV2> = {},
): APIGatewayProxyEventV2 => ({
  version: '2.0',
  routeKey: `${method} ${path}`,
  rawPath: path,
  rawQueryString: '',
  headers: {},
  isBase64Encoded: false,
  requestContext: {
    accountId: '',
    apiId: '',
    domainName: '',
    domainPrefix: '',
    http: { method, path, protocol: 'HTTP/1.1', sourceIp: '127.0.0.1', userAgent: '' },
    requestId: 'request',
    routeKey: `${method} ${path}`,
    stage: '$default',
    time: '',
    timeEpoch: 0,
  },
  ...more,
});

/** The same on its way through the middlewares. */
export const httpEvent = (
  contract: RouteContract,
  { contract: _own, ...more }: Partial<HttpEvent> = {},
): HttpEvent => ({
  answerHeaders: {},
  clientAddress: '127.0.0.1',
  ...apiEvent(contract, more),
  ...more,
  contract,
});

const context = createLambdaContext('test');

/** Runs the `before` step of one middleware. @returns the event as the next middleware finds it */
export const before = async (middleware: HttpMiddleware, event: HttpEvent): Promise<HttpEvent> => {
  await middleware.before?.({ event, context, response: undefined, error: undefined, internal: {} });
  return event;
};

/** Runs the `onError` step of one middleware. @returns its answer */
export const onError = (middleware: HttpMiddleware, event: HttpEvent, error: Error): HttpResult =>
  middleware.onError?.({ event, context, response: undefined, error, internal: {} });

/** A contract for tests of a single middleware. */
export const contractOf = (more: Partial<RouteContract> = {}): RouteContract => ({
  function: 'test',
  tag: 'System',
  summary: 'A route of this test',
  authentication: 'none',
  errors: [],
  method: 'GET',
  path: '/things',
  request: {},
  response: z.object({}),
  ...more,
});
