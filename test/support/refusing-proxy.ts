import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

/** ERR_Packet of the MySQL protocol: 1231 (ER_WRONG_VALUE_FOR_VAR), the answer to the first packet of a command. */
const refusal = (() => {
  const payload = Buffer.concat([
    Buffer.of(0xff, 1231 & 0xff, 1231 >> 8),
    Buffer.from('#42000Refused by this proxy'),
  ]);
  return Buffer.concat([Buffer.of(payload.length, 0, 0, 1), payload]);
})();

/**
 * Opens a proxy in front of MySQL. It answers the first statement that contains `text` with an error, and passes on all
 * other statements.
 * @returns the proxy's URL, and what happened on the connection of the refused statement
 */
export const openRefusingProxy = async (serverUrl: string, text: string) => {
  const target = new URL(serverUrl);
  const sockets = new Set<Socket>();
  const seen = { refused: 0, closedByClient: 0, sentAfterRefusal: '' };
  const server = createServer((client) => {
    const upstream = connect(Number(target.port), target.hostname);
    let isRefused = false;
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
    }
    upstream.pipe(client);
    client.on('data', (bytes) => {
      if (isRefused) seen.sentAfterRefusal += bytes.toString('latin1');
      else if (seen.refused === 0 && bytes.includes(text)) {
        isRefused = true;
        seen.refused += 1;
        client.write(refusal);
      } else upstream.write(bytes);
    });
    client.on('close', () => {
      if (isRefused) seen.closedByClient += 1;
      upstream.destroy();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const url = new URL(serverUrl);
  url.hostname = '127.0.0.1';
  url.port = String(typeof address === 'object' ? address?.port : '');
  return Object.assign(seen, {
    url: url.href,
    close: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  });
};
