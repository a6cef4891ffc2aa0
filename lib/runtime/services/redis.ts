import { createPendingChanges } from '#lib/redis/changes/pending-changes.ts';
import { createAccepts, createSettles } from '#lib/redis/commands/all.ts';
import { createOutbox } from '#lib/redis/commands/outbox.ts';
import { createCounters } from '#lib/redis/gate/counters.ts';
import { createGate } from '#lib/redis/gate/gate.ts';
import { createRateLimits } from '#lib/redis/limits/rate-limits.ts';
import { createSignInAttempts } from '#lib/redis/limits/sign-in-attempts.ts';
import { createConnections } from '#lib/redis/live/connections.ts';
import { createGenerations } from '#lib/redis/revocation/generations.ts';
import { createDeletedMessages } from '#lib/redis/window/deleted-messages.ts';
import { createDirectory } from '#lib/redis/window/directory.ts';
import { createOutdatedWindows } from '#lib/redis/window/outdated-windows.ts';
import { createMarkers } from '#lib/redis/window/read-markers.ts';
import { createRecentMessages } from '#lib/redis/window/recent-messages.ts';
import { lazy } from '../lazy.ts';
import { addressHash } from './auth.ts';
import { config, keys, noteClientError, redisClient } from './servers.ts';

export const signInAttempts = /* @__PURE__ */ lazy(() =>
  createSignInAttempts({ client: redisClient(), keys: keys(), hash: addressHash().of }),
);
export const rateLimits = /* @__PURE__ */ lazy(() =>
  createRateLimits({
    client: redisClient(),
    keys: keys(),
    limits: {
      'sign-up': config().LIMIT_SIGN_UP,
      'sign-in': config().LIMIT_SIGN_IN,
      'bad-tokens': config().LIMIT_BAD_TOKENS,
      reads: config().LIMIT_READS,
      writes: config().LIMIT_WRITES,
    },
    timeoutMs: 50,
    onError: noteClientError('Rate limiter'),
  }),
);
export const accepts = /* @__PURE__ */ lazy(() => createAccepts({ client: redisClient(), keys: keys() }));
/** Consumers use those of writing.ts, which store the numbers that settling issues. */
export const settlesInRedis = /* @__PURE__ */ lazy(() =>
  createSettles({ client: redisClient(), keys: keys() }),
);
export const pendingChanges = /* @__PURE__ */ lazy(() =>
  createPendingChanges({ client: redisClient(), keys: keys() }),
);
export const counters = /* @__PURE__ */ lazy(() => createCounters({ client: redisClient(), keys: keys() }));
export const gate = /* @__PURE__ */ lazy(() => createGate({ client: redisClient(), keys: keys() }));
export const directory = /* @__PURE__ */ lazy(() => createDirectory({ client: redisClient(), keys: keys() }));
export const markers = /* @__PURE__ */ lazy(() => createMarkers({ client: redisClient(), keys: keys() }));
export const outdatedWindows = /* @__PURE__ */ lazy(() =>
  createOutdatedWindows({ client: redisClient(), keys: keys() }),
);
export const recentMessages = /* @__PURE__ */ lazy(() =>
  createRecentMessages({ client: redisClient(), keys: keys() }),
);
export const deletedMessages = /* @__PURE__ */ lazy(() =>
  createDeletedMessages({ client: redisClient(), keys: keys() }),
);
export const outbox = /* @__PURE__ */ lazy(() => createOutbox({ client: redisClient(), keys: keys() }));
export const generations = /* @__PURE__ */ lazy(() =>
  createGenerations({ client: redisClient(), keys: keys() }),
);
export const connections = /* @__PURE__ */ lazy(() =>
  createConnections({ client: redisClient(), keys: keys() }),
);
