/** The bounds of accepted input. Lengths are Unicode code points. */
export const limits = {
  /** Of a request's body, in bytes. Holds the longest message with every character escaped: 12 bytes each. */
  requestBytes: 256 * 1024,
  name: 100,
  email: 254, // RFC 5321, 4.5.3.1.3
  passwordMinimum: 8,
  password: 128,
  title: 200,
  /** At most 64,000 bytes of UTF-8, within MySQL's TEXT. */
  body: 16_000,
  query: 200,
  idempotencyKey: 200,
  token: 64,
  /** MySQL INT UNSIGNED. */
  number: 4_294_967_295,
  pageSize: 100,
  /** The deepest hit that a page number of a search reaches: page × limit. Reading on has no such bound. */
  searchDepth: 10_000,
  /** Rows a `page=N` may skip; reading on by cursor has no such bound. */
  skippedRows: 100_000,
  /** Entries in the `errors` of a problem, and code points in each of their paths. */
  errors: 20,
  errorPath: 100,
  futureMs: 24 * 60 * 60 * 1000,
} as const;

/** How much of a chat's newest messages Redis holds, and for how long after the last use. */
export const windowLimits = { entries: 300, bytes: 256 * 1024, idleSeconds: 24 * 60 * 60 } as const;
