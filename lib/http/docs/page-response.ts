import type { HttpEvent, HttpMiddleware } from '../middleware.ts';
import type { DocsPage } from './page.ts';

/** RFC 9110, 12.5.3: `gzip;q=0` refuses it. */
const takesGzip = ({ headers }: HttpEvent): boolean =>
  Object.entries(headers).some(
    ([name, value]) =>
      name.toLowerCase() === 'accept-encoding' && /\bgzip\b(?!\s*;\s*q=0(\.0*)?\s*(,|$))/i.test(value ?? ''),
  );

/**
 * Gives the page its Content-Security-Policy, and compresses it for clients that accept gzip, because HTTP APIs of API
 * Gateway do not compress. A compressed page is another representation, so its ETag is weak.
 */
export const pageResponse = (page: () => DocsPage): HttpMiddleware => ({
  after: ({ event, response }) => {
    if (!response?.headers?.ETag) return;
    const { headers, statusCode } = response;
    headers.Vary = event.answerHeaders.Vary
      ? `${event.answerHeaders.Vary}, Accept-Encoding`
      : 'Accept-Encoding';
    if (takesGzip(event)) headers.ETag = `W/${headers.ETag}`;
    if (statusCode !== 200) return;
    headers['Content-Security-Policy'] = page().contentSecurityPolicy;
    headers['Referrer-Policy'] = 'no-referrer';
    if (!takesGzip(event)) return;
    headers['Content-Encoding'] = 'gzip';
    response.isBase64Encoded = true;
    response.body = page().gzipped;
  },
});
