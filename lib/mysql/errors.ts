const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
/** Of what the server answered, whatever its version calls the error; the driver's own errors have none. */
const sqlStateOf = (error: unknown): string =>
  error instanceof Error && 'sqlState' in error && typeof error.sqlState === 'string' ? error.sqlState : '';

/** Nothing was done, or it may be done again: another try is right. */
const deadlocks = new Set(['ER_LOCK_DEADLOCK', 'ER_LOCK_WAIT_TIMEOUT', 'ER_CHECKREAD']);
export const isDeadlock = (error: unknown) => deadlocks.has(codeOf(error));

/** The connection is dead; the statement may have come to it before. MySQL says good-bye to one that was idle for too long. */
const lostConnections = new Set([
  'PROTOCOL_CONNECTION_LOST',
  'ECONNRESET',
  'EPIPE',
  'ER_CLIENT_INTERACTION_TIMEOUT',
]);
export const isLostConnection = (error: unknown) => lostConnections.has(codeOf(error));

/** The server did not answer a statement in time: it is slow, or frozen, or the connection has vanished. */
export const isSilence = (error: unknown) => codeOf(error) === 'PROTOCOL_SEQUENCE_TIMEOUT';

/** The driver's own, of a server that does not answer. */
const silences = new Set([
  ...lostConnections,
  'PROTOCOL_SEQUENCE_TIMEOUT',
  'POOL_WAIT_TIMEOUT',
  'ECONNREFUSED',
  'ETIMEDOUT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
]);

/** A value does not fit its column, a constraint or a trigger refuses the row. */
const valueStates = /^(22|23|45)/;
const valueCodes = new Set([
  'ER_TRUNCATED_WRONG_VALUE_FOR_FIELD',
  'ER_INVALID_CHARACTER_STRING',
  'ER_CHECK_CONSTRAINT_VIOLATED',
]);
const isAboutValues = (error: unknown) =>
  valueStates.test(sqlStateOf(error)) || valueCodes.has(codeOf(error));

/**
 * The server as it is now cannot serve: it does not answer, or its answer is about itself, its tables or our rights in it
 * (read-only, full, shut down, not migrated) rather than about the values it was given. The same statement may succeed
 * when it is mended, or when another server answers under the same name. What a deadlock is, another try tells.
 */
export const isOutage = (error: unknown): boolean =>
  !isDeadlock(error) &&
  (silences.has(codeOf(error)) ||
    (error instanceof Error && 'fatal' in error && error.fatal === true) ||
    (sqlStateOf(error) !== '' && !isAboutValues(error)));
