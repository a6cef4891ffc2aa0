import { currentOrigins, currentSocketUrl, currentTrustedProxies } from '../config.ts';
import { lazy } from '../lazy.ts';
import { config } from './servers.ts';

/* Settings that functions and wrappers read. */

export const trustedProxies = /* @__PURE__ */ lazy(currentTrustedProxies);
export const corsOrigins = /* @__PURE__ */ lazy(currentOrigins);
/** `url`: where clients of the WebSocket API connect, if that is known. */
export const socket = /* @__PURE__ */ lazy(() => ({ url: currentSocketUrl() }));
export const maxDeferrals = () => config().MAX_DEFERRALS;
export const metricsNamespace = () => config().METRICS_NAMESPACE;
export const now = /* @__PURE__ */ lazy(() => Date.now);
