import { isKnownError, type KnownError } from '#lib/domain/errors.ts';
import type { TokenCheck } from '#lib/reading/token-check.ts';
import type { HttpEvent, HttpMiddleware } from './middleware.ts';

/** The check of a request that failed for another reason. A time-out leaves no time for one. */
const mayAsk = (event: HttpEvent, error: unknown): error is KnownError =>
  event.caller !== undefined &&
  isKnownError(error) &&
  error.code !== 'unauthenticated' &&
  error.logCode !== 'request-timed-out';

/**
 * Refuses access tokens that have ended, before every other refusal. A read sends the check together with its own first
 * call, and awaits it before it answers. A write awaits it first, unless it submits a command: the accepting script checks
 * the token then, and only a refused write asks here.
 */
export const checkToken = (tokenCheck: () => TokenCheck): HttpMiddleware => ({
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
    if (!mayAsk(event, error) || event.caller === undefined) return;
    try {
      await (event.permission ?? tokenCheck()(event.caller));
    } catch (refusal) {
      const isWorse = isKnownError(refusal, 'unauthenticated') || error.code !== 'unavailable';
      if (refusal instanceof Error && isWorse) request.error = refusal;
    }
  },
});
