import type { KeyedHash } from '#lib/auth/keyed-hash.ts';
import type { RouteContract } from '#lib/contracts/http/route.ts';
import { statuses } from '#lib/contracts/http/statuses.ts';
import { clientNetwork } from '#lib/domain/client-network.ts';
import { parseEmailAddress } from '#lib/domain/email-address.ts';
import { describeError } from '#lib/domain/error-facts.ts';
import { type ErrorCode, isKnownError, type KnownError } from '#lib/domain/errors.ts';
import { logger } from '#lib/runtime/logger.ts';
import type { HttpEvent, HttpMiddleware, HttpResult } from './middleware.ts';
import { createRefusalLog } from './refusal-log.ts';
import { commonHeaders } from './respond.ts';

const challenges = { basic: 'Basic realm="chat", charset="UTF-8"', bearer: 'Bearer realm="chat"', none: '' };

/** RFC 6750, 3.1: only a request with a token hears that the token was the fault. */
const challengeOf = ({ authentication }: RouteContract, { logCode, message }: KnownError): string =>
  logCode?.startsWith('token-') && logCode !== 'token-missing'
    ? `${challenges[authentication]}, error="invalid_token", error_description="${message}"`
    : challenges[authentication];

/** Refusals that are logged, with the code of the log line. An error's own `logCode` takes precedence. */
const refusals: Partial<Record<ErrorCode, string>> = {
  unauthenticated: 'request-unauthenticated',
  forbidden: 'request-forbidden',
  'too-many-requests': 'request-limited',
};

/** A keyed hash of an account: only holders of the key can compute it for an address. */
type AddressHash = Pick<KeyedHash, 'of'>;

const logFrequent = createRefusalLog();

/** Refusals that cost a client nothing, so that it can cause thousands a second. */
const isFrequent = ({ contract, caller }: HttpEvent, code: string): boolean =>
  code === 'rate-limited' ||
  code === 'token-ended' ||
  (contract.authentication === 'bearer' && caller === undefined);

const logRefusal = (event: HttpEvent, code: string, addressHash: (() => AddressHash) | undefined): void => {
  const { contract, clientAddress: source, credentials, caller } = event;
  const refusal = {
    code,
    route: `${contract.method} ${contract.path}`,
    source,
    ...(credentials === undefined || addressHash === undefined
      ? {}
      : { account: addressHash().of(parseEmailAddress(credentials.user) ?? credentials.user) }),
    ...(caller === undefined ? {} : { callerId: caller.id }),
  };
  if (isFrequent(event, code)) logFrequent(`${caller?.id ?? clientNetwork(source)}`, refusal);
  else logger.warn('Request refused', { ...refusal, code: refusal.code });
};

/** Logs every error of a request; no other code does. */
const log = (event: HttpEvent, error: unknown, addressHash: (() => AddressHash) | undefined): void => {
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
  if (refusal !== undefined) logRefusal(event, error.logCode ?? refusal, addressHash);
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
      ...(known?.code === 'unauthenticated' ? { 'WWW-Authenticate': challengeOf(contract, known) } : {}),
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

/**
 * Turns every error of a request into a problem document, and logs it.
 * @param addressHash for routes with credentials
 */
export const problem = (addressHash?: () => AddressHash): HttpMiddleware => ({
  onError: ({ event, error }) => {
    log(event, error, addressHash);
    return problemOf(event, error);
  },
});
