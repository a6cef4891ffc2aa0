/** The remaining time and the log of a running scheduled function or operation. */
export type Job = {
  /** Milliseconds until the function must return, less a margin for work that is under way. */
  remainingMs: () => number;
  log: (message: string, facts: { code: string } & Record<string, unknown>) => void;
};
