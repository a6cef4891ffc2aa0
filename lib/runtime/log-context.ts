import { AsyncLocalStorage } from 'node:async_hooks';

/** The fields that a log line takes from the running request, batch or job. */
export type LogContext = { function: string; requestId: string | undefined; queue?: string };

/**
 * The context of the running request, batch or job, for every line logged during it. An execution environment may run
 * several at once. Powertools distinguishes them only where Lambda provides its InvokeStore.
 */
export const logContext = new AsyncLocalStorage<LogContext>();
