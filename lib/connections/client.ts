import { type Credentials, sendSigned } from '../aws/signed-request.ts';

/** 'busy': too many posts at once, or the connection's buffer is full. 'unsure': nothing is known. */
export type PostResult = 'ok' | 'gone' | 'busy' | 'unsure';

const GONE = 410;
const BUSY = 429;

/** The path of a connection. Its id may end in `=`. */
export const connectionPath = (id: string): string => `/@connections/${encodeURIComponent(id)}`;

/**
 * The connections of a WebSocket API, as API Gateway offers them to the functions behind it.
 * https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-how-to-call-websocket-api-connections.html
 * @param url of the API's stage
 * @param timeoutMs of one call, because a post may hang
 */
export const createConnectionsClient = (
  url: string,
  { credentials, timeoutMs }: { credentials: Credentials; timeoutMs: number },
) => {
  const base = new URL(url);
  const call = async (method: 'POST' | 'DELETE', id: string, body?: string): Promise<PostResult> => {
    try {
      const { status } = await sendSigned(
        base,
        {
          service: 'execute-api',
          method,
          path: connectionPath(id),
          ...(body === undefined ? {} : { body, headers: { 'Content-Type': 'application/json' } }),
          timeoutMs,
        },
        credentials,
      );
      if (status >= 200 && status < 300) return 'ok';
      if (status === GONE) return 'gone';
      return status === BUSY ? 'busy' : 'unsure';
    } catch {
      return 'unsure';
    }
  };
  return {
    /** Sends one frame. Never throws. */
    post: (id: string, frame: string): Promise<PostResult> => call('POST', id, frame),
    /** Closes a connection. Never throws. */
    close: (id: string): Promise<PostResult> => call('DELETE', id),
  };
};

export type ConnectionsClient = ReturnType<typeof createConnectionsClient>;
