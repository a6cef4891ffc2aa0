import type { Client } from '@opensearch-project/opensearch';
import { errors } from '@opensearch-project/opensearch';
import { indexClosed, SearchUnavailable } from './errors.ts';

export type IndexRequest = {
  method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'DELETE';
  path: string;
  query?: Record<string, string | number | boolean>;
  body?: object;
  /** Lines of newline-delimited JSON, for `_bulk`. */
  lines?: string;
  timeoutMs: number;
  /** Error statuses that are answers here, not failures. */
  expected?: readonly number[];
};

export type IndexAnswer<Body> = { status: number; body: Body };

/** Statuses under which the same request may succeed later; 404 means the index is not there (yet). */
const passing = new Set([401, 403, 404, 408, 429, 500, 502, 503, 504]);

/**
 * One request with an overall deadline. `Body` is what the API's reference promises; nothing checks it.
 *
 * @throws SearchUnavailable when there is no answer in time, or one that says "not now"
 * @throws the client's ResponseError when the server finds the request itself wrong
 */
export const request = async <Body>(client: Client, wanted: IndexRequest): Promise<IndexAnswer<Body>> => {
  try {
    return await attempt<Body>(client, wanted);
  } catch (error) {
    // A kept-alive socket that the server (or a frozen environment) closed meanwhile fails at once: one fresh try.
    if (error instanceof errors.ConnectionError) {
      return await attempt<Body>(client, wanted).catch(translate(wanted));
    }
    return translate(wanted)(error);
  }
};

const attempt = async <Body>(client: Client, wanted: IndexRequest): Promise<IndexAnswer<Body>> => {
  const { method, path, query, body, lines, timeoutMs, expected } = wanted;
  const sent = client.transport.request(
    {
      method,
      path,
      ...(query && { querystring: query }),
      ...(body && { body }),
      ...(lines !== undefined && { bulkBody: lines }),
    },
    { requestTimeout: timeoutMs, maxRetries: 0, ...(expected && { ignore: [...expected] }) },
  );
  // The client's own time-out ends with the first byte of the answer; this one covers the rest as well.
  const deadline = setTimeout(() => sent.abort(), timeoutMs + 100);
  try {
    const answer = await sent;
    return { status: answer.statusCode ?? 0, body: answer.body as Body };
  } finally {
    clearTimeout(deadline);
  }
};

const translate =
  ({ method, path, timeoutMs }: IndexRequest) =>
  (error: unknown): never => {
    const where = `OpenSearch, ${method} ${path}`;
    if (error instanceof errors.ResponseError) {
      if (!passing.has(error.statusCode ?? 0) && error.body?.error?.type !== indexClosed) throw error;
      throw new SearchUnavailable(`${where}: ${error.statusCode} ${error.message}`, { cause: error });
    }
    if (error instanceof errors.TimeoutError || error instanceof errors.RequestAbortedError) {
      throw new SearchUnavailable(`${where}: no answer within ${timeoutMs} ms`, { cause: error });
    }
    if (error instanceof errors.OpenSearchClientError) {
      throw new SearchUnavailable(`${where}: ${error.message}`, { cause: error });
    }
    throw error;
  };
