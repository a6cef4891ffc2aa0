import type { ClientFrame } from '#lib/contracts/frames/client.ts';
import type { Subscriptions } from '#lib/live/subscriptions.ts';
import { subscriptions } from '#lib/runtime/services/live.ts';
import { frameHandler, type SocketConnection } from '#lib/socket/frame-handler.ts';

type Request = { frame: ClientFrame; connection: SocketConnection };

/** Answers a frame of a client. */
export const receive = async (
  { frame, connection }: Request,
  { subscriptions }: { subscriptions: Subscriptions },
) => {
  switch (frame.type) {
    case 'authenticate':
      return subscriptions.authenticate(connection, frame.accessToken);
    case 'unsubscribe':
      return subscriptions.unsubscribe(connection, frame);
    case 'ping':
      return subscriptions.ping(connection);
  }
};

export const handler = frameHandler(receive, { subscriptions });
