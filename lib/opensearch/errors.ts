import { KnownError } from '#lib/domain/errors.ts';

/** An index that was closed (a snapshot is being restored) answers with this, and with the status of a bad request. */
export const indexClosed = 'index_closed_exception';

/** The index cannot answer now: no connection, time-out, overload, a red shard, or no index yet. The same call may succeed later. */
export class SearchUnavailable extends KnownError {
  constructor(reason: string, { cause }: { cause?: unknown } = {}) {
    // What a client reads must not name a host; the log gets the cause.
    super('unavailable', 'Search does not answer.', {
      retryAfterSeconds: 5,
      cause: new Error(reason, { cause }),
    });
    this.name = 'SearchUnavailable';
  }
}

/** What was to be written is not (all) in the index and may be written again later; writing it twice does no harm. */
export class IndexRetryLater extends KnownError {
  constructor(reason: string, { cause }: { cause?: unknown } = {}) {
    super('unavailable', 'The index does not accept all writes.', {
      retryAfterSeconds: 5,
      cause: new Error(reason, { cause }),
    });
    this.name = 'IndexRetryLater';
  }
}
