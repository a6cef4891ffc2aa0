import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { Client, Connection, errors } from '@opensearch-project/opensearch';

/** A socket that was idle for longer is not used again, because it may have vanished. */
const IDLE_MS = 5_000;

const isSilence = (error: unknown) =>
  error instanceof errors.TimeoutError || error instanceof errors.RequestAbortedError;

/** Ends idle sockets after one socket has become silent, because they may have vanished with it. */
const endIdleSockets = ({ freeSockets }: HttpAgent) => {
  for (const socket of Object.values(freeSockets).flatMap((sockets) => sockets ?? [])) socket.destroy();
};

/**
 * @param onRefused gets the error if the server refuses the user or password of the URL
 */
export const connectOpenSearch = (
  node: string,
  { onRefused }: { onRefused?: (error: Error) => void } = {},
): Client => {
  const options = { keepAlive: true, timeout: IDLE_MS, scheduling: 'lifo' as const };
  const agent = node.startsWith('https:') ? new HttpsAgent(options) : new HttpAgent(options);

  class WatchedConnection extends Connection {
    override request(...[params, callback]: Parameters<Connection['request']>) {
      return super.request(params, (error, response) => {
        if (isSilence(error)) endIdleSockets(agent);
        callback(error, response);
      });
    }
  }

  const client = new Client({ node, agent: () => agent, Connection: WatchedConnection });
  client.on('response', (error) => {
    if (error instanceof errors.ResponseError && error.statusCode === 401) onRefused?.(error);
  });
  return client;
};
