import type { AccessTokens, Caller } from '#lib/auth/access-tokens.ts';
import { isKnownError, unauthenticated } from '#lib/domain/errors.ts';
import type { RateLimiter } from '#lib/domain/rate-limit.ts';
import { countRequest } from './limit.ts';
import { type HttpEvent, type HttpMiddleware, headerOf } from './middleware.ts';

type Verify = Pick<AccessTokens, 'verify'>;

/** Whatever follows the scheme is taken for the token, so that a malformed one is refused as an invalid one. */
const bearerOf = (event: HttpEvent): string => {
  const [, token] = /^Bearer +(\S.*)$/i.exec(headerOf(event, 'authorization') ?? '') ?? [];
  if (token === undefined)
    throw unauthenticated('An access token is needed: Authorization: Bearer <accessToken>.', 'token-missing');
  return token.trimEnd();
};

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * @returns undefined for bytes that are not UTF-8, because a lenient decoding could match another password
 */
const decode = (encoded: string): string | undefined => {
  try {
    return utf8.decode(Buffer.from(encoded, 'base64'));
  } catch {
    return undefined;
  }
};

/** RFC 7617: UTF-8, the first colon ends the user's name. */
const basicOf = (event: HttpEvent): { user: string; password: string } => {
  const [, encoded] = /^Basic +([A-Za-z0-9+/=_-]+) *$/i.exec(headerOf(event, 'authorization') ?? '') ?? [];
  const decoded = decode(encoded ?? '') ?? '';
  const colon = decoded.indexOf(':');
  if (colon < 1) {
    throw unauthenticated(
      'Sign in with Authorization: Basic base64(email:password), in UTF-8.',
      'credentials-malformed',
    );
  }
  return { user: decoded.slice(0, colon), password: decoded.slice(colon + 1) };
};

/** A bad token counts towards a limit of its client's network. A good token from there is not affected. */
const callerOf = async (
  event: HttpEvent,
  accessTokens: Verify,
  limiter: () => RateLimiter,
): Promise<Caller> => {
  const token = bearerOf(event);
  try {
    return await accessTokens.verify(token);
  } catch (error) {
    if (isKnownError(error, 'unauthenticated')) await countRequest(event, 'bad-tokens', limiter());
    throw error;
  }
};

/** Sets `event.caller` from the access token, or `event.credentials` on the sign-in route. */
export const authenticate = (accessTokens: () => Verify, limiter: () => RateLimiter): HttpMiddleware => ({
  before: async ({ event }) => {
    const { authentication } = event.contract;
    if (authentication === 'bearer') event.caller = await callerOf(event, accessTokens(), limiter);
    else if (authentication === 'basic') event.credentials = basicOf(event);
  },
});
