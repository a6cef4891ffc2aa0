/** The bounds of connections and frames. */
export const socketLimits = {
  /** Bytes of a client's frame, and of one of the server's. */
  frameBytes: 4 * 1024,
  answerBytes: 32 * 1024,
  /** Frames of a connection in that many seconds. More are refused. */
  frames: { count: 30, seconds: 10 },
  /** Frames of a connection that are refused with 400 or 413. As many in that time close it. */
  badFrames: { count: 10, seconds: 60 },
  subscriptions: 100,
  connections: 20,
  /** The time in which a connection must authenticate. */
  authenticateMs: 10_000,
  /** The life of a connection without a ping. */
  idleMs: 10 * 60 * 1000,
  /** The longest life of a connection, and the time before its end in which a ping asks the client to come back. */
  lifeMs: 2 * 60 * 60 * 1000,
  restartMs: 5 * 60 * 1000,
} as const;
