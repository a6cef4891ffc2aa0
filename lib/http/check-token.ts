import { isKnownError, type KnownError } from '#lib/domain/errors.ts';
import type { RateLimiter } from '#lib/domain/rate-limit.ts';
import type { TokenCheck } from '#lib/reading/token-check.ts';
import { countRequest } from './limit.ts';
import type { HttpEvent, HttpMiddleware } from './middleware.ts';

/** The check of a request that failed for another reason. A time-out leaves no time for one. */
const mayAsk = (event: HttpEvent, error: unknown): error is KnownError =>
  event.caller !== undefined &&
  isKnownError(error) &&
  error.code !== 'unauthenticated' &&
  error.logCode !== 'request-timed-out';

/** The error of a refused request, or a worse one of its token. */
const worstOf = async (event: HttpEvent, error: Error, tokenCheck: () => TokenCheck): Promise<Error> => {
  if (event.caller === undefined || !mayAsk(event, error)) return error;
  try {
    await (event.permission ?? tokenCheck()(event.caller));
  } catch (refusal) {
    const isWorse = isKnownError(refusal, 'unauthenticated') || error.code !== 'unavailable';
    if (refusal instanceof Error && isWorse) return refusal;
  }
  return error;
};

/**
 * Counts a token that has ended as a bad one, and not against its user: without its generation, Redis counted the request
 * there. @throws too-many-requests
 */
const countEnded = async (event: HttpEvent, error: Error, limiter: () => RateLimiter): Promise<void> => {
  if (!isKnownError(error, 'unauthenticated') || error.logCode !== 'token-ended') return;
  await event.counted?.giveBack();
  try {
    await countRequest(event, 'bad-tokens', limiter());
  } finally {
    Object.assign(event.answerHeaders, await event.quotaHeaders);
  }
};

/**
 * Refuses access tokens that have ended, before every other refusal. A read sends the check together with its own first
 * call, and awaits it before it answers. A write awaits it first, unless it submits a command: the accepting script checks
 * the token then, and only a refused write asks here. A token that has ended counts towards the limit of bad ones.
 */
export const checkToken = (tokenCheck: () => TokenCheck, limiter: () => RateLimiter): HttpMiddleware => ({
  before: async ({ event }) => {
    const { caller, contract } = event;
    if (caller === undefined || contract.submits === true) return;
    event.permission = tokenCheck()(caller);
    if (contract.method !== 'GET') return event.permission;
    // `after` or `onError` awaits it. Until then a rejection is not unhandled.
    event.permission.catch(() => undefined);
  },
  after: ({ event }) => event.permission,
  onError: async (request) => {
    const { event, error } = request;
    if (!(error instanceof Error)) return;
    try {
      request.error = await worstOf(event, error, tokenCheck);
      await countEnded(event, request.error, limiter);
    } catch (refusal) {
      if (refusal instanceof Error) request.error = refusal;
    }
  },
});
