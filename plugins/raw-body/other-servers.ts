import { answerNodeErrors, respondWith } from './api-server.ts';
import type { HapiRequest, HapiServer } from './serverless-offline.ts';

const isLocal = (host: string): boolean => /^(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$/i.test(host);

/** Browsers send one of these headers with every request of a page that may change data. */
const isOfPage = ({ headers }: HapiRequest): boolean =>
  headers.origin !== undefined || headers['sec-fetch-site'] !== undefined || headers.referer !== undefined;

/**
 * Closes a port to web pages, because it runs any function with any event. Local programs can still use it. A foreign
 * `Host` belongs to a page whose name was pointed to this machine (DNS rebinding).
 */
export const closeToPages = (server: HapiServer): void => {
  answerNodeErrors(server);
  server.ext('onRequest', (request, toolkit) =>
    isOfPage(request) || !isLocal(request.headers.host ?? '') ? respondWith(toolkit, 403) : toolkit.continue,
  );
};
