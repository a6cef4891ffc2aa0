import type { Signals } from '#lib/live/signals.ts';
import { corsOrigins } from '#lib/runtime/services/settings.ts';
import { signals } from '#lib/runtime/services/signals.ts';
import { connectionHandler, type SocketConnection } from '#lib/socket/connection-handler.ts';

type Uses = { signals: Pick<Signals, 'checkLater'>; corsOrigins: ReadonlySet<string> };
type Request = { connection: Pick<SocketConnection, 'id'>; origin: string | undefined };

/** Takes a connection, unless a page of a foreign origin opens it. It must authenticate within ten seconds. */
export const connect = async (
  { connection: { id }, origin }: Request,
  { signals, corsOrigins }: Uses,
): Promise<{ statusCode: number }> => {
  if (corsOrigins.size > 0 && origin !== undefined && !corsOrigins.has(origin)) return { statusCode: 403 };
  await signals.checkLater(id);
  return { statusCode: 200 };
};

export const handler = connectionHandler('CONNECT', connect, { signals, corsOrigins });
