/** The bounds of accepted input. Lengths are Unicode code points. */
export const limits = {
  /**
   * Bytes of a request's body. Enough for the longest message with every character escaped (12 bytes each).
   */
  requestBytes: 256 * 1024,
  name: 100,
  email: 254, // RFC 5321, 4.5.3.1.3
  passwordMinimum: 8,
  password: 128,
  accessTokenSeconds: 60 * 60,
  title: 200,
  /** At most 64,000 bytes of UTF-8, within MySQL's TEXT. */
  body: 16_000,
  query: 200,
  /** A `sender` to search for. Handles are shorter, and nobody has a longer one. */
  senderText: 100,
  idempotencyKey: 200,
  token: 64,
  /** MySQL INT UNSIGNED. */
  number: 4_294_967_295,
  /** The most that another program's command may leave out above a counter. */
  numbersAhead: 1_000_000,
  pageSize: 100,
  /** The highest answer for unread messages: this many or more. */
  unread: 1_000,
  /** The deepest hit of a search by page number: page × limit. Cursors have no such limit. */
  searchDepth: 10_000,
  /** The most rows that `page=N` may skip. Cursors have no such limit. */
  skippedRows: 100_000,
  /** The most entries in `errors` of a problem, and the most code points of each path. */
  errors: 20,
  errorPath: 100,
  futureMs: 24 * 60 * 60 * 1000,
  /** After an opening of the gate, the clock of Redis is ahead of the time by about as much. */
  openingMs: 1_000,
  /** The largest accepted difference between the clocks of two machines. */
  skewMs: 5 * 60 * 1000,
} as const;

/** How much of a chat's newest messages Redis holds, and for how long after the last use. */
export const windowLimits = { entries: 300, bytes: 256 * 1024, idleSeconds: 24 * 60 * 60 } as const;
