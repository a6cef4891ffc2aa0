import type { Context } from 'aws-lambda';
import { lazy, type Providers, provide } from '#lib/runtime/lazy.ts';
import { logContext } from '#lib/runtime/log-context.ts';
import { logger } from '#lib/runtime/logger.ts';
import { prepareForRequest } from '#lib/runtime/services/servers.ts';
import {
  connectionOf,
  expectSocketEvent,
  type SocketConnection,
  type SocketEvent,
  type SocketResult,
} from './socket-event.ts';

export type { SocketConnection } from './socket-event.ts';

type ConnectionRequest = { connection: SocketConnection; origin: string | undefined };

const originOf = ({ headers }: SocketEvent): string | undefined =>
  Object.entries(headers ?? {}).find(([name]) => name.toLowerCase() === 'origin')?.[1];

/**
 * Creates the handler of the begin or the end of a connection. It answers with a status; an error is a 500, which refuses
 * a new connection.
 * @param kind of the events. A client's frame may name the route of another kind, and is ignored.
 */
export const connectionHandler = <Uses extends object>(
  kind: 'CONNECT' | 'DISCONNECT',
  work: (request: ConnectionRequest, uses: Uses) => Promise<{ statusCode: number }>,
  providers: Providers<Uses>,
) => {
  const uses = lazy(() => provide<Uses>(providers));
  const handle = async (event: SocketEvent): Promise<SocketResult> => {
    if (event.requestContext.eventType !== kind) return { statusCode: 200 };
    try {
      await prepareForRequest();
      return await work({ connection: connectionOf(event), origin: originOf(event) }, uses());
    } catch (error) {
      logger.error('Unexpected error', { code: 'unexpected-error', error });
      return { statusCode: 500 };
    }
  };
  return async (given: unknown, context: Context): Promise<SocketResult> => {
    const event = expectSocketEvent(given);
    const { requestId } = event.requestContext;
    return logContext.run({ function: context.functionName, requestId }, () => handle(event));
  };
};
