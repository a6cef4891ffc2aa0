import { isUtf8 } from 'node:buffer';
import { randomUUID } from 'node:crypto';
import type { APIGatewayProxyEventV2 } from 'aws-lambda';
import type { HapiRequest } from './serverless-offline.ts';

/** A request as the client sent it. */
export type SentRequest = {
  method: string;
  /** With the query. */
  url: string;
  headers: Record<string, string | undefined>;
  body: Buffer | undefined;
};

/** To be called before serverless-offline's handler, which replaces the payload by what it parsed. */
export const sentRequestOf = ({ raw: { req }, payload }: HapiRequest): SentRequest => ({
  method: req.method,
  url: req.url,
  headers: req.headers,
  body: Buffer.isBuffer(payload) && payload.length > 0 ? payload : undefined,
});

const bodyOf = ({ body }: SentRequest): Pick<APIGatewayProxyEventV2, 'body' | 'isBase64Encoded'> => {
  if (body === undefined) return { isBase64Encoded: false };
  const isText = isUtf8(body);
  return { body: body.toString(isText ? 'utf8' : 'base64'), isBase64Encoded: !isText };
};

/** serverless-offline adds a `content-type` to a body that has none. */
const headersOf = (
  { headers }: APIGatewayProxyEventV2,
  sent: SentRequest,
): APIGatewayProxyEventV2['headers'] =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => sent.headers[name] !== undefined));

/**
 * The event of an HTTP API (payload 2.0) with the parts that serverless-offline changes as API Gateway leaves them: the
 * body's own bytes, the client's own headers and query, the method HEAD, and an id for each request.
 */
export const asSent = (event: APIGatewayProxyEventV2, sent: SentRequest): APIGatewayProxyEventV2 => {
  const { body: _parsed, ...rest } = event;
  const routeKey = sent.method === 'HEAD' ? event.routeKey.replace(/^GET /, 'HEAD ') : event.routeKey;
  return {
    ...rest,
    ...bodyOf(sent),
    routeKey,
    headers: headersOf(event, sent),
    rawQueryString: /\?([^#]*)/.exec(sent.url)?.[1] ?? '',
    requestContext: {
      ...event.requestContext,
      routeKey,
      requestId: randomUUID(),
      http: { ...event.requestContext.http, method: sent.method },
    },
  };
};
