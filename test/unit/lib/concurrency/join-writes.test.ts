import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { joinWrites } from '#lib/concurrency/join-writes.ts';

/** A socket to a server of this process, and the chunks that arrive there. */
const openSocket = async () => {
  const chunks: string[] = [];
  const server = createServer((peer) => peer.on('data', (chunk) => chunks.push(String(chunk))));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('The server has no port');
  const socket: Socket = connect(address.port, '127.0.0.1');
  socket.setNoDelay(true);
  await once(socket, 'connect');
  return {
    socket,
    chunks,
    end: async () => {
      socket.end();
      await once(socket, 'close');
      server.close();
    },
  };
};

describe('joinWrites', () => {
  it('sends the writes of one turn together, in their order', async () => {
    const { socket, chunks, end } = await openSocket();
    joinWrites(socket);
    for (let index = 0; index < 5; index += 1) socket.write(`${index} `);
    // All of it still waits.
    expect(socket.writableLength).toBe('0 1 2 3 4 '.length);
    await new Promise((resolve) => socket.write('end. ', resolve));
    socket.write('A later turn.');
    await end();
    expect(chunks.join('')).toBe('0 1 2 3 4 end. A later turn.');
  });

  it('loses nothing when the socket is ended in the same turn', async () => {
    const { socket, chunks, end } = await openSocket();
    joinWrites(socket);
    socket.write('first ');
    socket.write('second');
    await end();
    expect(chunks.join('')).toBe('first second');
  });
});
