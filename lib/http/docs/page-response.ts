import type middy from '@middy/core';
import type { APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2 } from 'aws-lambda';
import type { DocsPage } from './page.ts';

/** RFC 9110, 12.5.3: `gzip;q=0` refuses it. */
const takesGzip = ({ headers }: APIGatewayProxyEventV2): boolean =>
  Object.entries(headers).some(
    ([name, value]) =>
      name.toLowerCase() === 'accept-encoding' && /\bgzip\b(?!\s*;\s*q=0(\.0*)?\s*(,|$))/i.test(value ?? ''),
  );

/**
 * For after the handler: gives the page its Content-Security-Policy, and compresses it for clients that take it (HTTP
 * API gateways do not). A compressed page is another representation: its ETag is a weak one.
 */
export const pageResponse =
  (page: () => DocsPage): middy.MiddlewareFn<APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2> =>
  ({ event, response }) => {
    if (!response?.headers?.ETag) return;
    Object.assign(response.headers, {
      Vary: 'Accept-Encoding',
      'Content-Security-Policy': page().contentSecurityPolicy,
      'Referrer-Policy': 'no-referrer',
    });
    if (!takesGzip(event)) return;
    response.headers.ETag = `W/${response.headers.ETag}`;
    if (response.statusCode !== 200) return;
    response.headers['Content-Encoding'] = 'gzip';
    response.isBase64Encoded = true;
    response.body = page().gzipped;
  };
