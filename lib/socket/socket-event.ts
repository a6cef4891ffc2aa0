import * as z from 'zod';

const headers = z.record(z.string(), z.string()).nullish();
/** The event of a WebSocket API, with the used fields only. Whatever the client sent is in `body`, a text or the bytes. */
const socketEvent = z.object({
  body: z.unknown().optional(),
  isBase64Encoded: z.boolean().optional(),
  headers,
  requestContext: z.object({
    eventType: z.enum(['CONNECT', 'MESSAGE', 'DISCONNECT']),
    connectionId: z.string().min(1),
    connectedAt: z.number().nullish(),
    requestId: z.string().optional(),
    identity: z.object({ sourceIp: z.string().nullish() }).nullish(),
  }),
});
export type SocketEvent = z.output<typeof socketEvent>;

/** @throws an Error of one line for another event */
export const expectSocketEvent = (event: unknown): SocketEvent => {
  const { data } = socketEvent.safeParse(event);
  if (data !== undefined) return data;
  throw new Error('Not an event of a WebSocket API: expected requestContext, as in test/events/receive.json');
};

/** A connection as its frames name it. `address`: of the client. */
export type SocketConnection = { id: string; connectedAtMs: number | undefined; address: string };

export const connectionOf = ({
  requestContext: { connectionId, connectedAt, identity },
}: SocketEvent): SocketConnection => ({
  id: connectionId,
  connectedAtMs: connectedAt ?? undefined,
  address: identity?.sourceIp ?? '',
});

/** The answer to API Gateway. `body` is a frame for the client. */
export type SocketResult = { statusCode: number; body?: string };
