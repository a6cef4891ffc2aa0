import type { Client } from '@opensearch-project/opensearch';
import { errors } from '@opensearch-project/opensearch';
import { withoutData } from '#lib/domain/error-facts.ts';
import { indexClosed, RequestRefused, SearchUnavailable } from './errors.ts';

export type IndexRequest = {
  method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'DELETE';
  path: string;
  query?: Record<string, string | number | boolean>;
  body?: object;
  /** Lines of newline-delimited JSON, for `_bulk`. */
  lines?: string;
  timeoutMs: number;
  /** Error statuses that the caller treats as answers. */
  expected?: readonly number[];
};

export type IndexAnswer<Body> = { status: number; body: Body };

/** Statuses after which the same request may succeed later. 404 means that the index does not exist yet. */
const passing = new Set([401, 403, 404, 408, 429, 500, 502, 503, 504]);

/**
 * Sends one request with an overall deadline. `Body` is the type from the API's reference; it is not checked.
 *
 * @throws SearchUnavailable without an answer in time, or after a temporary refusal
 * @throws RequestRefused if the server finds the request itself invalid
 */
export const request = async <Body>(client: Client, wanted: IndexRequest): Promise<IndexAnswer<Body>> => {
  try {
    return await attempt<Body>(client, wanted);
  } catch (error) {
    // A kept-alive socket fails at once if the server or a frozen environment has closed it, so try once more.
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
  // The client's own time-out ends with the first byte of the answer. This one also covers the rest.
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
      const refused = new RequestRefused(where, error.statusCode ?? 0, error.body?.error?.type);
      if (!passing.has(refused.statusCode) && refused.type !== indexClosed) throw refused;
      throw new SearchUnavailable(refused.message, { cause: refused });
    }
    if (error instanceof errors.TimeoutError || error instanceof errors.RequestAbortedError) {
      throw new SearchUnavailable(`${where}: no answer within ${timeoutMs} ms`);
    }
    const safe = withoutData(error);
    if (error instanceof errors.OpenSearchClientError) {
      throw new SearchUnavailable(`${where}: ${safe.message}`, { cause: safe });
    }
    throw safe;
  };
