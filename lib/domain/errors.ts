/** The kinds of errors that clients may see. `statuses` maps each to an HTTP status. */
export type ErrorCode =
  | 'bad-input'
  | 'unauthenticated'
  | 'forbidden'
  | 'not-found'
  | 'not-allowed'
  | 'conflict'
  | 'gone'
  | 'precondition-failed'
  | 'too-large'
  | 'not-json'
  | 'unprocessable'
  | 'too-many-requests'
  | 'unavailable';

export type FieldError = { path: string; message: string };

/**
 * An error whose code, detail and fields the client may see. Any other error becomes a 500 without details.
 */
export class KnownError extends Error {
  readonly code: ErrorCode;
  readonly fields: FieldError[] | undefined;
  readonly retryAfterSeconds: number | undefined;
  /** The methods that the path accepts, for 'not-allowed'. */
  readonly methods: readonly string[] | undefined;
  /** The code of the log line, if it is more specific than `code`. */
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
  new KnownError('bad-input', 'The request does not match the contract.', { fields });

export const notFound = (what: string) => new KnownError('not-found', `There is no such ${what}.`);

/** @param methods the methods that the path accepts */
export const notAllowed = (methods: readonly string[]) =>
  new KnownError('not-allowed', `This path accepts ${methods.join(', ')}.`, { methods });

export const forbidden = (detail: string) => new KnownError('forbidden', detail);

/** @param logCode names the reason in the log, such as `token-expired` */
export const unauthenticated = (detail: string, logCode?: string) =>
  new KnownError('unauthenticated', detail, logCode === undefined ? {} : { logCode });

/** The user signed out everywhere, or has another password, since this access token was issued. */
export const tokenEnded = () => unauthenticated('The access token has ended. Sign in again.', 'token-ended');

/** Basic authentication with an unknown address or a wrong password. */
export const wrongPassword = () =>
  unauthenticated('The e-mail address or the password is wrong.', 'sign-in-refused');

/** The request contradicts the present state, and a repetition would as well. */
export const conflict = (detail: string, cause?: unknown) => new KnownError('conflict', detail, { cause });

/** The position in a feed cannot be continued. */
export const gone = (detail: string) => new KnownError('gone', detail);

/** The item is not in a version that `If-Match` names, or `If-None-Match: *` was sent. */
export const preconditionFailed = (detail: string) => new KnownError('precondition-failed', detail);

/** The request is well-formed but contradicts an earlier one, such as with a used `Idempotency-Key`. */
export const unprocessable = (detail: string) => new KnownError('unprocessable', detail);

/**
 * The request is valid, but a server cannot serve it now. The client may repeat it after `retryAfterSeconds`.
 */
export const unavailable = (detail: string, cause?: unknown, retryAfterSeconds = 5) =>
  new KnownError('unavailable', detail, { retryAfterSeconds, cause });

/** The item may exist: pending commands are not visible while the counters are recovered. */
export const notKnownYet = (what: string) =>
  unavailable(`The ${what} may exist, but this cannot be checked right now. Try again.`);

export const isKnownError = (error: unknown, code?: ErrorCode): error is KnownError =>
  error instanceof KnownError && (code === undefined || error.code === code);
