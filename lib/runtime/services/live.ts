import { createInvoke } from '#lib/lambda/invoke.ts';
import { createPosting } from '#lib/live/posting.ts';
import { createSubscriptions } from '#lib/live/subscriptions.ts';
import { currentCredentials, currentFunction } from '../config.ts';
import { lazy } from '../lazy.ts';
import { accessTokens } from './auth.ts';
import { connections, rateLimits } from './redis.ts';
import { config } from './servers.ts';
import { now } from './settings.ts';
import { askForRecovery } from './writing.ts';

/** One call posts to many connections, some of which may be slow. */
const POSTING_MS = 50_000;

export const posting = /* @__PURE__ */ lazy(() =>
  createPosting({
    invoke: createInvoke({
      ...currentFunction('postToConnections'),
      credentials: currentCredentials(),
      timeoutMs: POSTING_MS,
    }),
    connections: connections(),
  }),
);
export const subscriptions = /* @__PURE__ */ lazy(() =>
  createSubscriptions({
    connections: connections(),
    accessTokens: accessTokens(),
    limiter: rateLimits(),
    pingSeconds: config().PING_SECONDS,
    askForRecovery: askForRecovery(),
    now: now(),
  }),
);
