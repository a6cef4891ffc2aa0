/** How often a process that npm started checks that npm still lives, in milliseconds. */
const PARENT_CHECK_MS = 500;

/**
 * Calls `onInterrupt` at Ctrl-C and at each signal that asks this process to end. A signal to npm itself ends npm and its
 * shell but does not reach this process, so the end of the parent counts as one, too.
 */
export const watchForInterruption = (onInterrupt: () => void): void => {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onInterrupt);
  if (process.env.npm_lifecycle_event === undefined) return;
  const parent = process.ppid;
  const watch = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(watch);
    onInterrupt();
  }, PARENT_CHECK_MS);
};
