import type { KeyedHash } from '#lib/auth/keyed-hash.ts';
import { statuses } from '#lib/contracts/http/statuses.ts';
import { parseEmailAddress } from '#lib/domain/email-address.ts';
import { describeError } from '#lib/domain/error-facts.ts';
import { type ErrorCode, isKnownError, type KnownError } from '#lib/domain/errors.ts';
import { logger } from '#lib/runtime/logger.ts';
import type { HttpEvent, HttpMiddleware, HttpResult } from './middleware.ts';
import { commonHeaders } from './respond.ts';

const challenges = { basic: 'Basic realm="chat", charset="UTF-8"', bearer: 'Bearer realm="chat"', none: '' };

/** Refusals that are logged, with the code of the log line. An error's own `logCode` takes precedence. */
const refusals: Partial<Record<ErrorCode, string>> = {
  unauthenticated: 'request-unauthenticated',
  forbidden: 'request-forbidden',
  'too-many-requests': 'request-limited',
};

/** A keyed hash of an account: only holders of the key can compute it for an address. */
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

/** Logs every error of a request; no other code does. */
const log = (event: HttpEvent, error: unknown, addressHash: () => AddressHash): void => {
  if (!isKnownError(error)) {
    logger.error('Unexpected error', { code: 'unexpected-error', error });
    return;
  }
  if (error.code === 'unavailable') {
    logger.warn('Unavailable', {
      code: error.logCode ?? 'unavailable',
      reason: error.message,
      ...(error.cause === undefined ? {} : { cause: describeError(error.cause) }),
    });
    return;
  }
  const refusal = refusals[error.code];
  if (refusal !== undefined) logRefusal(event, error, refusal, addressHash);
};

/** Creates a problem document (RFC 9457). An unknown error becomes a 500 without details. */
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

/** Turns every error of a request into a problem document. */
export const problem = (addressHash: () => AddressHash): HttpMiddleware => ({
  onError: ({ event, error }) => {
    log(event, error, addressHash);
    return problemOf(event, error);
  },
});
