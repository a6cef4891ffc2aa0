import { LogFormatter, Logger, LogItem } from '@aws-lambda-powertools/logger';
import type { LogAttributes, UnformattedAttributes } from '@aws-lambda-powertools/logger/types';
import { factsOf, withoutQuotes } from '#lib/domain/error-facts.ts';
import { isKnownError } from '#lib/domain/errors.ts';
import { logContext } from './log-context.ts';

/**
 * Adds the context of the running request when a line is written, so that requests without lines cost
 * nothing. Of an error it writes the facts only, because errors of drivers carry data of users.
 */
class ContextFormatter extends LogFormatter {
  override formatError(error: Error): LogAttributes {
    return factsOf(error);
  }

  override formatAttributes(attributes: UnformattedAttributes, more: LogAttributes): LogItem {
    const { logLevel, message, timestamp, serviceName, xRayTraceId } = attributes;
    return new LogItem({
      attributes: {
        level: logLevel,
        message,
        timestamp: this.formatTimestamp(timestamp),
        service: serviceName,
        xray_trace_id: xRayTraceId,
        ...logContext.getStore(),
        ...more,
      },
    });
  }
}

export const logger = new Logger({ serviceName: 'chat', logFormatter: new ContextFormatter() });

const QUIET_MS = 60_000;
const loggedAtMs = new Map<string, number>();

/**
 * Logs the `error` events of a client. Each message is logged once a minute, not at every reconnect. Messages that differ
 * only in numbers (a time, a port) count as one. The line names no request, because a client outlives requests.
 */
export const logClientError =
  (client: string) =>
  (error: Error): void => {
    // Clients may read the text of an 'unavailable' error, so its cause says more.
    const cause = isKnownError(error) && error.cause instanceof Error ? error.cause : error;
    const kind = 'code' in cause && typeof cause.code === 'string' ? cause.code : cause.name;
    const reason = withoutQuotes(cause.message);
    const key = `${client}:${kind}:${reason.replaceAll(/\d+/g, '#')}`;
    const now = Date.now();
    if (now - (loggedAtMs.get(key) ?? Number.NEGATIVE_INFINITY) < QUIET_MS) return;
    loggedAtMs.set(key, now);
    const facts = { code: 'server-unreachable', kind, reason };
    logContext.exit(() => logger.warn(`${client} is out of reach`, facts));
  };
