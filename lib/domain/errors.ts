/** Everything that can be wrong with a request, by a name that HTTP and the logs both know. */
export type ErrorCode =
  | 'bad-input'
  | 'unauthenticated'
  | 'forbidden'
  | 'not-found'
  | 'not-allowed'
  | 'conflict'
  | 'too-large'
  | 'not-json'
  | 'unprocessable'
  | 'too-many-requests'
  | 'unavailable';

export type FieldError = { path: string; message: string };

/** An error whose code, detail and fields may be shown to the client. Any other error is a bare 500. */
export class KnownError extends Error {
  readonly code: ErrorCode;
  readonly fields: FieldError[] | undefined;
  readonly retryAfterSeconds: number | undefined;
  /** Those that a path takes, for 'not-allowed'. */
  readonly methods: readonly string[] | undefined;
  /** Names the error in the log, where its `code` is not exact enough. */
  readonly logCode: string | undefined;

  constructor(
    code: ErrorCode,
    detail: string,
    more: {
      fields?: FieldError[];
      retryAfterSeconds?: number;
      methods?: readonly string[];
      logCode?: string;
      cause?: unknown;
    } = {},
  ) {
    super(detail, more.cause === undefined ? undefined : { cause: more.cause });
    this.name = 'KnownError';
    this.code = code;
    this.fields = more.fields;
    this.retryAfterSeconds = more.retryAfterSeconds;
    this.methods = more.methods;
    this.logCode = more.logCode;
  }
}

export const badInput = (fields: FieldError[]) =>
  new KnownError('bad-input', 'The request does not fit the contract.', { fields });

export const notFound = (what: string) => new KnownError('not-found', `There is no such ${what}.`);

/** @param methods those that the path takes */
export const notAllowed = (methods: readonly string[]) =>
  new KnownError('not-allowed', `This path takes ${methods.join(', ')}.`, { methods });

export const forbidden = (detail: string) => new KnownError('forbidden', detail);

/** @param logCode names the reason in the log, such as `token-expired` */
export const unauthenticated = (detail: string, logCode?: string) =>
  new KnownError('unauthenticated', detail, logCode === undefined ? {} : { logCode });

/** The request is well-formed but cannot be carried out, such as an `Idempotency-Key` of another request. */
export const unprocessable = (detail: string) => new KnownError('unprocessable', detail);

/** What is asked cannot be done now, though nothing is wrong with the request. */
export const unavailable = (detail: string, cause?: unknown, retryAfterSeconds = 5) =>
  new KnownError('unavailable', detail, { retryAfterSeconds, cause });

/** It may exist: what is on its way to being stored is not known while the numbers are not. */
export const notKnownYet = (what: string) =>
  unavailable(`Whether there is such a ${what} cannot be told just now; ask again.`);

export const isKnownError = (error: unknown, code?: ErrorCode): error is KnownError =>
  error instanceof KnownError && (code === undefined || error.code === code);
