import { createConnectionsClient } from '#lib/connections/client.ts';
import { currentConnectionsUrl, currentCredentials } from '../config.ts';
import { lazy } from '../lazy.ts';

/** A post may hang. */
const POST_MS = 2_000;

/** The connections of the WebSocket API. Needs no secret. */
export const connectionsClient = /* @__PURE__ */ lazy(() =>
  createConnectionsClient(currentConnectionsUrl(), {
    credentials: currentCredentials(),
    timeoutMs: POST_MS,
  }),
);
