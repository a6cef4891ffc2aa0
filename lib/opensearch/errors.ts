import { KnownError } from '#lib/domain/errors.ts';

/** The error of a closed index, for example during the restore of a snapshot. Its status is that of a bad request. */
export const indexClosed = 'index_closed_exception';

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
