import { isUtf8 } from 'node:buffer';
import type { Context } from 'aws-lambda';
import type * as z from 'zod';
import { describeError } from '#lib/domain/error-facts.ts';
import { parseJson } from '#lib/domain/json.ts';
import { type Providers, provide } from '#lib/runtime/lazy.ts';
import { logContext } from '#lib/runtime/log-context.ts';
import { logger } from '#lib/runtime/logger.ts';
import { prepareForRequest } from '#lib/runtime/services/servers.ts';
import { messagesOf } from './read-batch.ts';

const parse = (data: string): unknown => {
  const bytes = Buffer.from(data, 'base64');
  if (!isUtf8(bytes)) return undefined;
  try {
    return parseJson(bytes.toString('utf8'));
  } catch {
    return undefined;
  }
};

/**
 * Creates the handler of a queue of signals. A signal is a hint: it is handled at most once, in its batch, and dropped after an error.
 * Nothing is tried again, deferred or kept as a dead letter.
 */
export const signalHandler = <Schema extends z.ZodType, Uses extends object>(
  queue: string,
  schema: Schema,
  work: (signals: z.output<Schema>[], uses: Uses) => Promise<void>,
  providers: Providers<Uses>,
) => {
  const handle = async (event: unknown): Promise<void> => {
    const messages = messagesOf(event);
    const parsed = messages.map(({ data }) => schema.safeParse(parse(data)));
    const signals = parsed.flatMap(({ success, data }) => (success ? [data] : []));
    const malformed = messages.length - signals.length;
    if (malformed > 0)
      logger.warn('Malformed signals were dropped', { code: 'signals-malformed', malformed });
    try {
      await prepareForRequest();
      await work(signals, provide<Uses>(providers));
    } catch (error) {
      const facts = { signals: signals.length, cause: describeError(error) };
      logger.warn('Signals were dropped', { code: 'signals-dropped', ...facts });
    }
  };
  return (event: unknown, context: Context): Promise<void> =>
    logContext.run({ function: context.functionName, requestId: context.awsRequestId, queue }, () =>
      handle(event),
    );
};
