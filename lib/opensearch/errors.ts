import { KnownError } from '#lib/domain/errors.ts';

/** The error of a closed index, for example during the restore of a snapshot. Its status is that of a bad request. */
export const indexClosed = 'index_closed_exception';

/** The server's type of an error, such as `mapper_parsing_exception`. Its reason would quote values. */
export const typeOf = (type: unknown): string =>
  typeof type === 'string' && /^\w{1,100}$/.test(type) ? type : 'error';

/** The server finds the request itself invalid. Carries neither the request nor the answer. */
export class RequestRefused extends Error {
  readonly statusCode: number;
  readonly type: string;

  constructor(where: string, statusCode: number, type: unknown) {
    super(`${where}: ${statusCode} ${typeOf(type)}`);
    this.name = 'RequestRefused';
    this.statusCode = statusCode;
    this.type = typeOf(type);
  }
}

/**
 * The index cannot answer now: no connection, time-out, overload, a red shard, or no index yet. The same call may succeed
 * later.
 */
export class SearchUnavailable extends KnownError {
  constructor(reason: string, { cause }: { cause?: unknown } = {}) {
    // Clients read the text, so it must not name a host. The log gets the cause.
    super('unavailable', 'Search does not answer.', {
      retryAfterSeconds: 5,
      cause: new Error(reason, { cause }),
    });
    this.name = 'SearchUnavailable';
  }
}

/** Some messages of a call are not in the index. The caller may write all of them again later, without harm. */
export class IndexRetryLater extends KnownError {
  constructor(reason: string, { cause }: { cause?: unknown } = {}) {
    super('unavailable', 'The index does not accept all writes.', {
      retryAfterSeconds: 5,
      cause: new Error(reason, { cause }),
    });
    this.name = 'IndexRetryLater';
  }
}
