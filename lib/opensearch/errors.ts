/** The index cannot answer now: no connection, time-out, overload, a red shard, or no index yet. The same call may succeed later. */
export class SearchUnavailable extends Error {
  override readonly name = 'SearchUnavailable';
}

/** What was to be written is not (all) in the index and may be written again later; writing it twice does no harm. */
export class IndexRetryLater extends Error {
  override readonly name = 'IndexRetryLater';
}
