import { Logger } from '@aws-lambda-powertools/logger';

export const logger = new Logger({ serviceName: 'chat' });

const QUIET_MS = 60_000;
const loggedAtMs = new Map<string, number>();

/** For `error` events of clients: a server that is down is said once a minute, not at every reconnect. */
export const logClientError =
  (client: string) =>
  (error: Error): void => {
    const code = 'code' in error && typeof error.code === 'string' ? error.code : error.name;
    const key = `${client}:${code}`;
    const now = Date.now();
    if (now - (loggedAtMs.get(key) ?? Number.NEGATIVE_INFINITY) < QUIET_MS) return;
    loggedAtMs.set(key, now);
    logger.warn(`${client} is out of reach`, { code, reason: error.message });
  };
