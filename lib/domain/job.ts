/** What a running job may ask of its environment: a scheduled function or an operation. */
export type Job = {
  /** Milliseconds until the function must return, less a margin for work that is under way. */
  remainingMs: () => number;
  log: (message: string, facts: { code: string } & Record<string, unknown>) => void;
};
