import { isUtf8 } from 'node:buffer';
import { randomUUID } from 'node:crypto';
import type { APIGatewayProxyEventV2 } from 'aws-lambda';
import type { HapiRequest } from './serverless-offline.ts';

/** A request as the client sent it. */
export type SentRequest = {
  method: string;
  /** With the query. */
  url: string;
  headers: Record<string, string>;
  body: Buffer | undefined;
};

/** Joins headers as API Gateway does: names in lower case, the values of a repeated header separated by commas. */
const joinHeaders = (rawHeaders: readonly string[]): Record<string, string> => {
  const headers = new Map<string, string>();
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    const name = String(rawHeaders[at]).toLowerCase();
    const known = headers.get(name);
    headers.set(name, known === undefined ? `${rawHeaders[at + 1]}` : `${known},${rawHeaders[at + 1]}`);
  }
  return Object.fromEntries(headers);
};

/** Must run before serverless-offline's handler, which replaces the payload by the parsed value. */
export const sentRequestOf = ({
  raw: { req },
  payload,
}: Pick<HapiRequest, 'raw' | 'payload'>): SentRequest => ({
  method: req.method,
  url: req.url,
  headers: joinHeaders(req.rawHeaders),
  body: Buffer.isBuffer(payload) && payload.length > 0 ? payload : undefined,
});

const bodyOf = ({ body }: SentRequest): Pick<APIGatewayProxyEventV2, 'body' | 'isBase64Encoded'> => {
  if (body === undefined) return { isBase64Encoded: false };
  const isText = isUtf8(body);
  return { body: body.toString(isText ? 'utf8' : 'base64'), isBase64Encoded: !isText };
};

/** The path as it was written, without the origin of a request in absolute form. */
const pathOf = ({ url }: SentRequest): string => /^(?:[a-z]+:\/\/[^/?#]*)?([^?#]*)/i.exec(url)?.[1] || '/';

/**
 * The event of an HTTP API (payload 2.0). It restores the parts that serverless-offline changes and API Gateway does not:
 * the bytes of the body, the client's headers, path and query, the method HEAD, and an id for each request.
 */
export const asSent = (event: APIGatewayProxyEventV2, sent: SentRequest): APIGatewayProxyEventV2 => {
  const { body: _parsed, ...rest } = event;
  const routeKey = sent.method === 'HEAD' ? event.routeKey.replace(/^GET /, 'HEAD ') : event.routeKey;
  return {
    ...rest,
    ...bodyOf(sent),
    routeKey,
    headers: sent.headers,
    rawPath: pathOf(sent),
    rawQueryString: /\?([^#]*)/.exec(sent.url)?.[1] ?? '',
    requestContext: {
      ...event.requestContext,
      routeKey,
      requestId: randomUUID(),
      http: { ...event.requestContext.http, method: sent.method },
    },
  };
};
