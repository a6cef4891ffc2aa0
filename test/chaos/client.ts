/** The result of a request: a status and a body, or no answer at all. */
export type Answer =
  | { status: number; body: unknown; link: string | undefined; retryAfter: string | undefined }
  | { status: 'none' };

/** Longer than any function may take to answer. */
const TIMEOUT_MS = 12_000;

export type Api = (
  method: 'GET' | 'POST' | 'PUT' | 'DELETE',
  path: string,
  more?: { token?: string; authorization?: string; body?: object; idempotencyKey?: string },
) => Promise<Answer>;

/** @param url without a trailing slash */
export const createApi =
  (url: string): Api =>
  async (method, path, { token, authorization, body, idempotencyKey } = {}) => {
    try {
      const response = await fetch(`${url}${path}`, {
        method,
        headers: {
          ...(token === undefined ? {} : { Authorization: `Bearer ${token}` }),
          ...(authorization === undefined ? {} : { Authorization: authorization }),
          ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
          ...(idempotencyKey === undefined ? {} : { 'Idempotency-Key': idempotencyKey }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      const text = await response.text();
      const answer: unknown = text === '' ? undefined : JSON.parse(text);
      return {
        // If a function times out, serverless-offline answers 200 with an error. The cloud answers 504.
        status: fieldOf(answer, 'errorType') === undefined ? response.status : 504,
        body: answer,
        link: response.headers.get('link') ?? undefined,
        retryAfter: response.headers.get('retry-after') ?? undefined,
      };
    } catch {
      // Refused, reset, cut off or timed out: the request may or may not have had an effect.
      return { status: 'none' };
    }
  };

/** A number or text that an answer's body must hold. */
export const fieldOf = (body: unknown, name: string): unknown =>
  typeof body === 'object' && body !== null ? (body as Record<string, unknown>)[name] : undefined;
