import { accessTokens, addressHash, requestFingerprint } from '#lib/runtime/services/auth.ts';
import { tokenCheck } from '#lib/runtime/services/reading.ts';
import { rateLimits } from '#lib/runtime/services/redis.ts';
import { authenticate } from './authenticate.ts';
import { checkToken } from './check-token.ts';
import { createHandlers } from './handler.ts';
import { idempotency } from './idempotency.ts';
import { limit } from './limit.ts';
import { preconditions } from './preconditions.ts';
import { problem } from './problem.ts';

export type { Request } from './handler.ts';

/** Creates the handler of a route with a caller or a limit: it authenticates and counts each request. */
export const httpHandler = createHandlers({
  problem: problem(addressHash),
  first: [
    authenticate(accessTokens, rateLimits),
    checkToken(tokenCheck, rateLimits),
    limit(rateLimits, 'bearer', 'none'),
  ],
  // A body that is refused must not count as an attempt to sign in.
  last: [limit(rateLimits, 'basic'), idempotency(requestFingerprint), preconditions],
});
