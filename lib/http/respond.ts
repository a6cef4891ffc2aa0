import { createHash } from 'node:crypto';
import type { RouteContract } from '#lib/contracts/http/route.ts';
import { type HttpEvent, type HttpResult, headerOf } from './middleware.ts';

type PageQuery = Record<string, string | number>;

/** One page of a list, and the queries of its neighbours, if there are any. */
type Page = {
  items: unknown;
  next?: PageQuery | undefined;
  prev?: PageQuery | undefined;
  headers?: Record<string, string>;
  upTo?: number | undefined;
};

/**
 * The longest body that is sent as text. Its escaped form is at most twice as long, and fits into the 6,291,556 bytes of a
 * Lambda function's answer. In base64 the longest page takes 5.4 million.
 */
const maxTextBytes = 3_000_000;

/** Headers of every answer. https://cheatsheetseries.owasp.org/cheatsheets/REST_Security_Cheat_Sheet.html */
export const commonHeaders = { 'X-Content-Type-Options': 'nosniff', 'Cache-Control': 'no-store' };

const isPage = (contract: RouteContract, answer: unknown): answer is Page =>
  contract.list === true && typeof answer === 'object' && answer !== null && 'items' in answer;

/** RFC 8288, relative to the request's own path. Other fields of the query stay. */
const linkTo = (event: HttpEvent, relation: 'next' | 'prev', place: PageQuery): string => {
  const query = new URLSearchParams(event.rawQueryString);
  for (const name of ['page', 'before', 'after']) query.delete(name);
  for (const [name, value] of Object.entries(place)) query.set(name, String(value));
  return `<${event.rawPath}?${query}>; rel="${relation}"`;
};

const linkOf = (event: HttpEvent, { next, prev }: Page): Record<string, string> => {
  const links = [
    ...(next === undefined ? [] : [linkTo(event, 'next', next)]),
    ...(prev === undefined ? [] : [linkTo(event, 'prev', prev)]),
  ];
  return links.length === 0 ? {} : { Link: links.join(', ') };
};

/** RFC 9110, 13.1.2. */
const isNotModified = (event: HttpEvent, etag: string): boolean => {
  const header = headerOf(event, 'if-none-match');
  if (header === undefined) return false;
  const known = header.split(',').map((tag) => tag.trim().replace(/^W\//, ''));
  return known.includes(etag) || known.includes('*');
};

/** The header of an answer that has every change up to a number. An answer that may lag has no such header. */
const upToHeader = (answer: unknown): Record<string, string> =>
  typeof answer === 'object' && answer !== null && 'upTo' in answer && typeof answer.upTo === 'number'
    ? { 'Changes-Up-To': String(answer.upTo) }
    : {};

/** The version of an item that a PUT can change; 0 for anything else. */
const versionOf = (answer: unknown): number =>
  typeof answer === 'object' && answer !== null && 'version' in answer && typeof answer.version === 'number'
    ? answer.version
    : 0;

/**
 * RFC 9110, 8.8.3: the version, which `If-Match` compares, and a digest of the body and of the link to the next page, so
 * that clients do not download a page again that has not changed.
 */
const etagOf = (version: number, { headers = {}, body = '' }: HttpResult): string => {
  const digest = createHash('sha256')
    .update(`${headers.Link ?? ''}\n${body}`)
    .digest('base64url');
  return `"${version}-${digest.slice(0, 22)}"`;
};

/**
 * A client with the same answer gets 304 without the headers that describe it (RFC 9110, 15.4.5). `Vary` and the headers
 * of CORS are in `answerHeaders`.
 */
const withEtag = (
  event: HttpEvent,
  answer: unknown,
  version: number,
  { headers, body, ...rest }: HttpResult,
): HttpResult => {
  const validators = {
    ETag: etagOf(version, { headers, body }),
    'Cache-Control': event.contract.authentication === 'none' ? 'no-cache' : 'private, no-cache',
  };
  if (isNotModified(event, validators.ETag))
    return { statusCode: 304, headers: { ...event.answerHeaders, ...upToHeader(answer), ...validators } };
  const isHead = event.requestContext.http.method === 'HEAD';
  return { ...rest, headers: { ...headers, ...validators }, ...(isHead ? {} : { body }) };
};

/**
 * A Lambda function returns its answer as JSON, in which the body is one more string. Each quotation mark and backslash of
 * the body takes a second byte there. Base64 takes a third more for any text.
 */
const forLambda = ({ body, ...rest }: HttpResult): HttpResult => {
  if (body === undefined) return rest;
  if (body.length * 3 <= maxTextBytes || Buffer.byteLength(body) <= maxTextBytes) return { ...rest, body };
  return { ...rest, body: Buffer.from(body).toString('base64'), isBase64Encoded: true };
};

const redirectTo = ({ answerHeaders }: HttpEvent, path: string): HttpResult => ({
  statusCode: 302,
  headers: { ...commonHeaders, ...answerHeaders, Location: path },
});

/**
 * @returns 200 with only those fields of `answer` that the contract declares; 304 if the client has the same
 * body; 302 if the contract names another path
 * @throws ZodError for an answer that does not match the contract
 */
export const respond = (event: HttpEvent, answer: unknown): HttpResult => {
  const { contract } = event;
  if (contract.redirectsTo !== undefined) return redirectTo(event, contract.redirectsTo);
  const page = isPage(contract, answer) ? answer : undefined;
  const filtered = contract.response.parse(page === undefined ? answer : page.items);
  const result = {
    statusCode: 200,
    headers: {
      ...commonHeaders,
      'Content-Type': contract.produces ?? 'application/json',
      ...event.answerHeaders,
      ...page?.headers,
      ...upToHeader(answer),
      ...(page === undefined ? {} : linkOf(event, page)),
    },
    body: typeof filtered === 'string' ? filtered : JSON.stringify(filtered),
  };
  return forLambda(
    contract.method === 'GET'
      ? withEtag(event, answer, page === undefined ? versionOf(answer) : 0, result)
      : result,
  );
};
