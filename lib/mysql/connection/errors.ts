import { withoutData } from '#lib/domain/error-facts.ts';

const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
/** The SQLSTATE of the server's answer, which is the same in every version. The driver's own errors have none. */
const sqlStateOf = (error: unknown): string =>
  error instanceof Error && 'sqlState' in error && typeof error.sqlState === 'string' ? error.sqlState : '';

/** The server rolled the statement back, so it may run again. */
const deadlocks = new Set(['ER_LOCK_DEADLOCK', 'ER_LOCK_WAIT_TIMEOUT', 'ER_CHECKREAD']);
export const isDeadlock = (error: unknown) => deadlocks.has(codeOf(error));

/** The connection has ended, perhaps after the statement ran. MySQL also ends connections that were idle for too long. */
const lostConnections = new Set([
  'PROTOCOL_CONNECTION_LOST',
  'ECONNRESET',
  'EPIPE',
  'ER_CLIENT_INTERACTION_TIMEOUT',
]);
export const isLostConnection = (error: unknown) => lostConnections.has(codeOf(error));

/** The server did not answer a statement in time. It is slow or frozen, or the connection has vanished. */
export const isSilence = (error: unknown) => codeOf(error) === 'PROTOCOL_SEQUENCE_TIMEOUT';

/** The driver's own codes for a server that does not answer. */
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

/** A value does not fit its column, or a constraint or a trigger refuses the row. */
const valueStates = /^(22|23|45)/;
const valueCodes = new Set([
  'ER_TRUNCATED_WRONG_VALUE_FOR_FIELD',
  'ER_INVALID_CHARACTER_STRING',
  'ER_CHECK_CONSTRAINT_VIOLATED',
]);
const isAboutValues = (error: unknown) =>
  valueStates.test(sqlStateOf(error)) || valueCodes.has(codeOf(error));

/**
 * True if the state of the server caused the error, not the values of the statement. The server does not answer, or it is
 * read-only, full, shutting down, not migrated, or grants too few rights. The same statement may succeed after a repair,
 * or on another server of the same name. A deadlock is no outage: the statement runs again at once.
 */
export const isOutage = (error: unknown): boolean =>
  !isDeadlock(error) &&
  (silences.has(codeOf(error)) ||
    (error instanceof Error && 'fatal' in error && error.fatal === true) ||
    (sqlStateOf(error) !== '' && !isAboutValues(error)));

/** A shorter text may be a word of the message, such as the name of a column. */
const MIN_VALUE = 4;
/** A server cuts a long value, but quotes its beginning. */
const QUOTED = 16;

/**
 * @returns the error without its statement, and without a message that contains a value of it, as a trigger may write
 */
export const withoutStatement = (error: unknown, values: readonly unknown[]): Error => {
  const safe = withoutData(error);
  const isQuoted = values.some(
    (value) =>
      typeof value === 'string' && value.length >= MIN_VALUE && safe.message.includes(value.slice(0, QUOTED)),
  );
  if (isQuoted) {
    safe.message = 'The database refuses a value';
    safe.stack = `${safe.name}: ${safe.message}`;
  }
  const isFatal = error instanceof Error && 'fatal' in error && error.fatal === true;
  return isFatal ? Object.assign(safe, { fatal: true }) : safe;
};
