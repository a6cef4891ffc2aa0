import type { KeyedHash } from '#lib/auth/keyed-hash.ts';
import { statuses } from '#lib/contracts/statuses.ts';
import { parseEmailAddress } from '#lib/domain/email-address.ts';
import { type ErrorCode, isKnownError, type KnownError } from '#lib/domain/errors.ts';
import { logger } from '#lib/runtime/logger.ts';
import type { HttpEvent, HttpMiddleware, HttpResult } from './middleware.ts';
import { commonHeaders } from './respond.ts';

const challenges = { basic: 'Basic realm="chat", charset="UTF-8"', bearer: 'Bearer realm="chat"', none: '' };

/** Errors that leave a line in the log, with the code of the line. An error's own `logCode` is more exact. */
const refusals: Partial<Record<ErrorCode, string>> = {
  unauthenticated: 'request-unauthenticated',
  forbidden: 'request-forbidden',
  'too-many-requests': 'request-limited',
};

/** Names the account of a refused sign-in for those who hold the key, and says nothing to anybody else. */
type AddressHash = Pick<KeyedHash, 'of'>;

const logRefusal = (
  event: HttpEvent,
  error: KnownError,
  code: string,
  addressHash: () => AddressHash,
): void => {
  const { contract, requestContext, credentials, caller } = event;
  logger.warn('Request refused', {
    code: error.logCode ?? code,
    route: `${contract.method} ${contract.path}`,
    source: requestContext?.http?.sourceIp,
    ...(credentials === undefined
      ? {}
      : { account: addressHash().of(parseEmailAddress(credentials.user) ?? credentials.user) }),
    ...(caller === undefined ? {} : { callerId: caller.id }),
  });
};

/** The one place where an error becomes a line in the log. */
const log = (event: HttpEvent, error: unknown, addressHash: () => AddressHash): void => {
  if (!isKnownError(error)) {
    logger.error('Unexpected error', { code: 'unexpected-error', error });
    return;
  }
  if (error.code === 'unavailable') {
    logger.warn('Unavailable', {
      code: error.logCode ?? 'unavailable',
      reason: error.message,
      cause: String(error.cause ?? ''),
    });
    return;
  }
  const refusal = refusals[error.code];
  if (refusal !== undefined) logRefusal(event, error, refusal, addressHash);
};

/** RFC 9457. An error that is not a known one is answered without a word about it. */
const problemOf = ({ contract, answerHeaders }: HttpEvent, error: unknown): HttpResult => {
  const known = isKnownError(error) ? error : undefined;
  const { status, title } = known ? statuses[known.code] : { status: 500, title: 'Internal Server Error' };
  return {
    statusCode: status,
    headers: {
      ...commonHeaders,
      ...answerHeaders,
      'Content-Type': 'application/problem+json',
      ...(known?.code === 'unauthenticated'
        ? { 'WWW-Authenticate': challenges[contract.authentication] }
        : {}),
      ...(known?.methods === undefined ? {} : { Allow: known.methods.join(', ') }),
      ...(known?.retryAfterSeconds === undefined ? {} : { 'Retry-After': String(known.retryAfterSeconds) }),
    },
    body: JSON.stringify({
      type: 'about:blank',
      title,
      status,
      ...(known ? { detail: known.message } : {}),
      ...(known?.fields ? { errors: known.fields } : {}),
    }),
  };
};

/** Answers whatever is thrown on the way of a request as a problem document. */
export const problem = (addressHash: () => AddressHash): HttpMiddleware => ({
  onError: ({ event, error }) => {
    log(event, error, addressHash);
    return problemOf(event, error);
  },
});
