import { currentOrigins, currentTrustedProxies } from '../config.ts';
import { lazy } from '../lazy.ts';
import { config } from './servers.ts';

/* Settings that functions and wrappers read. */

export const trustedProxies = /* @__PURE__ */ lazy(currentTrustedProxies);
export const corsOrigins = /* @__PURE__ */ lazy(currentOrigins);
export const maxDeferrals = () => config().MAX_DEFERRALS;
export const metricsNamespace = () => config().METRICS_NAMESPACE;
export const now = /* @__PURE__ */ lazy(() => Date.now);
