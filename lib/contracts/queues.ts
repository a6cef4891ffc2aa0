/** Where a command waits before it is tried again. */
export const retryQueue = (queue: string) => `${queue}.retry`;
/** Where the dead letters of a command's queue are kept. */
export const deadQueue = (queue: string) => `${queue}.dead`;

/** Wakes `recoverCounters`: published by a function that finds the gate closed. */
export const recoveryQueue = 'recover-counters';

/** Signals for connections: a message here is only a hint, so it is neither confirmed nor tried again. */
export const pushQueue = 'push-event';
/** Where a signal waits for the time in which a connection must authenticate. It goes on to {@link pushQueue}. */
export const laterPushQueue = 'push-event.later';
