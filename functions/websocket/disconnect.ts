import type { Connections } from '#lib/redis/live/connections.ts';
import { connections } from '#lib/runtime/services/redis.ts';
import { connectionHandler, type SocketConnection } from '#lib/socket/connection-handler.ts';

/** Forgets a connection that has ended. Best effort: without it, its leases end. */
export const disconnect = async (
  { connection: { id } }: { connection: Pick<SocketConnection, 'id'> },
  { connections }: { connections: Pick<Connections, 'forget'> },
): Promise<{ statusCode: number }> => {
  await connections.forget([id]);
  return { statusCode: 200 };
};

export const handler = connectionHandler('DISCONNECT', disconnect, { connections });
