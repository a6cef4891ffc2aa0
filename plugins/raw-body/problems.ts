import { STATUS_CODES } from 'node:http';
import { statuses } from '#lib/contracts/http/statuses.ts';

const titles = new Map(Object.values(statuses).map(({ status, title }) => [status, title]));
const titleOf = (status: number): string => titles.get(status) ?? STATUS_CODES[status] ?? 'Error';

/** The details of the emulation's own errors. */
const details: Record<number, string> = {
  400: 'The request, its path or its Host header is not well-formed.',
  403: 'This port is for local programs, not for web pages.',
  408: 'The request took too long to arrive.',
  413: 'The body is too long.',
  417: 'The Expect header is not supported.',
  431: 'The headers are too long.',
  503: 'The function did not answer in time.',
};

/** A problem document (RFC 9457), like the errors of the functions themselves. */
export const problemOf = (status: number): { headers: Record<string, string>; body: string } => ({
  headers: {
    'Content-Type': 'application/problem+json',
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
    ...(status === 503 ? { 'Retry-After': '5' } : {}),
  },
  body: JSON.stringify({
    type: 'about:blank',
    title: titleOf(status),
    status,
    ...(details[status] === undefined ? {} : { detail: details[status] }),
  }),
});

/** The same as the bytes of an HTTP/1.1 response, for a request that the server could not parse. */
export const rawProblemOf = (status: number): string => {
  const { headers, body } = problemOf(status);
  const lines = Object.entries({
    ...headers,
    'Content-Length': `${Buffer.byteLength(body)}`,
    Connection: 'close',
  });
  return [
    `HTTP/1.1 ${status} ${titleOf(status)}`,
    ...lines.map(([name, value]) => `${name}: ${value}`),
    '',
    body,
  ].join('\r\n');
};
