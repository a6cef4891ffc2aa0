const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';

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
/** The server as it is now cannot serve; after a failover another one answers under the same name. */
const outages = new Set([
  ...lostConnections,
  'ER_OPTION_PREVENTS_STATEMENT',
  'ER_READ_ONLY_MODE',
  'ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION',
  'ER_SERVER_SHUTDOWN',
  'ER_CON_COUNT_ERROR',
  'ER_TOO_MANY_USER_CONNECTIONS',
  'ER_USER_LIMIT_REACHED',
  'ER_DISK_FULL',
  'ER_RECORD_FILE_FULL',
  'ER_NEW_ABORTING_CONNECTION',
  'ER_CONNECTION_KILLED',
  'ER_QUERY_INTERRUPTED',
  'ER_QUERY_TIMEOUT',
  'PROTOCOL_SEQUENCE_TIMEOUT',
  'POOL_WAIT_TIMEOUT',
  'ECONNREFUSED',
  'ETIMEDOUT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
]);
/** SQLSTATE, of what the server answered; the driver does not name every error of every server. */
const sqlState = (error: unknown): string =>
  error instanceof Error && 'sqlState' in error && typeof error.sqlState === 'string' ? error.sqlState : '';
/**
 * Of the connection (08), of a statement that was ended from outside (57, 70100); or a table, a column or a right that
 * our statement needs is not there (42): no command is to blame, a migration or a grant mends it.
 */
const passingStates = /^(08|42|57|70100)/;
export const isOutage = (error: unknown) =>
  outages.has(codeOf(error)) ||
  passingStates.test(sqlState(error)) ||
  (error instanceof Error && 'fatal' in error && error.fatal === true);

/** A value does not fit its column, a constraint or a trigger refuses the row. */
const valueStates = /^(22|23|45)/;
const valueCodes = new Set([
  'ER_TRUNCATED_WRONG_VALUE_FOR_FIELD',
  'ER_INVALID_CHARACTER_STRING',
  'ER_CHECK_CONSTRAINT_VIOLATED',
]);

/**
 * Whether the server's answer is about the server, its tables or our rights in it, rather than about the values it was
 * given: then it is the same for every row, and passes when the server is mended, migrated or itself again.
 */
export const isServersOwnError = (error: unknown): boolean =>
  sqlState(error) !== '' && !valueStates.test(sqlState(error)) && !valueCodes.has(codeOf(error));
