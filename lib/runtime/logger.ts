import { Logger } from '@aws-lambda-powertools/logger';
import { isKnownError } from '#lib/domain/errors.ts';

export const logger = new Logger({ serviceName: 'chat' });

const QUIET_MS = 60_000;
const loggedAtMs = new Map<string, number>();

/**
 * For `error` events of clients: each message once a minute, not at every reconnect. Numbers in it (a time, a port) do
 * not make it another one.
 */
export const logClientError =
  (client: string) =>
  (error: Error): void => {
    // What an 'unavailable' was made of says more than what clients may read of it.
    const cause = isKnownError(error) && error.cause instanceof Error ? error.cause : error;
    const code = 'code' in cause && typeof cause.code === 'string' ? cause.code : cause.name;
    const key = `${client}:${code}:${cause.message.replaceAll(/\d+/g, '#')}`;
    const now = Date.now();
    if (now - (loggedAtMs.get(key) ?? Number.NEGATIVE_INFINITY) < QUIET_MS) return;
    loggedAtMs.set(key, now);
    logger.warn(`${client} is out of reach`, { code, reason: cause.message });
  };
