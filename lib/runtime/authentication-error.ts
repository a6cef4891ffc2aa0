const codes = new Set([
  'ER_ACCESS_DENIED_ERROR', // MySQL
  'ER_NOT_SUPPORTED_AUTH_MODE',
]);
/** The error replies of Redis, and the reasons with which RabbitMQ ends a handshake. */
const words = /^(WRONGPASS|NOAUTH|ERR invalid password)\b|ACCESS[-_]REFUSED/;

const isRefusal = (error: Error): boolean => {
  if ('code' in error && typeof error.code === 'string' && codes.has(error.code)) return true;
  if ('statusCode' in error && error.statusCode === 401) return true; // OpenSearch
  return words.test(error.message);
};

/** Whether a server refused the credentials that it was given: the error itself, or one that caused it. */
export const isAuthenticationError = (error: unknown): boolean => {
  for (let cause = error, depth = 0; cause instanceof Error && depth < 5; cause = cause.cause, depth += 1) {
    if (isRefusal(cause)) return true;
  }
  return false;
};
