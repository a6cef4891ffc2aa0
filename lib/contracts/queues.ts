/** Where a command waits before it is tried again. */
export const retryQueue = (queue: string) => `${queue}.retry`;
/** Where the dead letters of a command's queue are kept. */
export const deadQueue = (queue: string) => `${queue}.dead`;

/** Wakes `recoverCounters`: published by a function that finds the gate closed. */
export const recoveryQueue = 'recover-counters';
