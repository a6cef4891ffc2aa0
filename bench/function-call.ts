import { randomUUID } from 'node:crypto';
import type { APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2, Context } from 'aws-lambda';
import { createLambdaContext } from '../local/emulation/lambda-context.ts';
import { Failure } from '../local/services/index.ts';

export type Call = {
  method: 'GET' | 'POST';
  /** Of the contract, such as `/applications/{token}`. */
  route: string;
  path: Record<string, string>;
  query?: Record<string, string>;
  authorization: string;
  body?: object;
};

export const pathOf = ({ route, path, query }: Call): string =>
  `${route.replace(/\{(\w+)\}/g, (_, name) => path[name] ?? '')}${query === undefined ? '' : `?${new URLSearchParams(query)}`}`;

/** The event of an HTTP API (payload 2.0) for a call. */
const eventOf = (call: Call): APIGatewayProxyEventV2 => {
  const [rawPath = '', rawQueryString = ''] = pathOf(call).split('?');
  const routeKey = `${call.method} ${call.route}`;
  return {
    version: '2.0',
    routeKey,
    rawPath,
    rawQueryString,
    headers: {
      authorization: call.authorization,
      ...(call.body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    pathParameters: call.path,
    ...(call.query === undefined ? {} : { queryStringParameters: call.query }),
    ...(call.body === undefined ? {} : { body: JSON.stringify(call.body) }),
    isBase64Encoded: false,
    requestContext: {
      accountId: '',
      apiId: '',
      domainName: '',
      domainPrefix: '',
      http: {
        method: call.method,
        path: rawPath,
        protocol: 'HTTP/1.1',
        sourceIp: '127.0.0.1',
        userAgent: '',
      },
      requestId: randomUUID(),
      routeKey,
      stage: '$default',
      time: '',
      timeEpoch: Date.now(),
    },
  };
};

export const lambdaContext = (): Context => createLambdaContext('bench', 10_000);

export type Handler = (
  event: APIGatewayProxyEventV2,
  context: Context,
) => Promise<APIGatewayProxyStructuredResultV2>;

/** Calls a handler in this process. @throws Failure unless it answers 200 */
export const callFunction = async (handler: Handler, call: Call): Promise<string> => {
  const { statusCode, body } = await handler(eventOf(call), lambdaContext());
  if (statusCode !== 200) throw new Failure(`${call.method} ${pathOf(call)}: ${statusCode} ${body}`);
  return body ?? '';
};
