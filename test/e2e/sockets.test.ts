import { once } from 'node:events';
import { connect } from 'node:net';
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest';
import { createUser, type User } from '../support/servers.ts';
import { openSocket, type Socket } from '../support/socket.ts';

let user: User;
const opened: Socket[] = [];

const open = async (headers?: Record<string, string>): Promise<Socket> => {
  const socket = await openSocket(inject('socketUrl'), headers);
  opened.push(socket);
  return socket;
};
const authenticated = async (of = user): Promise<Socket> => {
  const socket = await open();
  socket.send({ type: 'authenticate', accessToken: of.client.accessToken });
  expect(await socket.next()).toMatchObject({ type: 'authenticated' });
  return socket;
};

beforeEach(async () => {
  user = await createUser('Ada');
});
afterEach(() => {
  for (const socket of opened.splice(0)) socket.close();
});

describe('a connection', () => {
  it('authenticates, and is renewed by pings', async () => {
    const socket = await open();
    socket.send({ type: 'authenticate', accessToken: user.client.accessToken, id: 'a' });
    const answer = await socket.next();
    expect(answer).toMatchObject({ type: 'authenticated', pingSeconds: 30, replyTo: 'a' });
    expect(answer.expiresIn).toBeGreaterThan(3_500);
    socket.send({ type: 'ping', id: 'p' });
    expect(await socket.next()).toEqual({ type: 'pong', positions: [], replyTo: 'p' });
  });

  it('is refused to a page of another origin, and open to a listed one and to programs', async () => {
    await expect(openSocket(inject('socketUrl'), { Origin: 'https://evil.example.org' })).rejects.toThrow();
    const socket = await open({ Origin: 'https://chat.example.org' });
    socket.send({ type: 'ping' });
    expect(await socket.next()).toMatchObject({ type: 'error', status: 401 });
  });

  it('is closed when it does not authenticate within ten seconds', async () => {
    const socket = await open();
    expect(await socket.next(25_000)).toEqual({ type: 'closing', reason: 'idle' });
    await socket.closed;
  });

  it('belongs to one user', async () => {
    const socket = await authenticated();
    const other = await createUser('Bob');
    socket.send({ type: 'authenticate', accessToken: other.client.accessToken, id: '2' });
    expect(await socket.next()).toMatchObject({ type: 'error', status: 409, replyTo: '2' });
    socket.send({ type: 'authenticate', accessToken: user.client.accessToken });
    expect(await socket.next()).toMatchObject({ type: 'authenticated' });
  });

  it('is the last of twenty: the next one is refused and closed', async () => {
    for (let i = 0; i < 20; i += 1) await authenticated();
    const socket = await open();
    socket.send({ type: 'authenticate', accessToken: user.client.accessToken, id: 'x' });
    expect(await socket.next()).toMatchObject({ type: 'error', status: 429, replyTo: 'x' });
    expect(await socket.next()).toEqual({ type: 'closing', reason: 'limit' });
    await socket.closed;
    opened[0]?.close();
    await opened[0]?.closed;
    await expect
      .poll(() =>
        authenticated().then(
          () => 'authenticated',
          () => 'refused',
        ),
      )
      .toBe('authenticated');
  });

  it('is closed when its user signs out', async () => {
    const socket = await authenticated();
    expect((await user.client.delete('/users/me/tokens')).status).toBe(200);
    expect(await socket.next()).toEqual({ type: 'closing', reason: 'signed-out' });
    await socket.closed;
    const again = await open();
    again.send({ type: 'authenticate', accessToken: user.client.accessToken });
    expect(await again.next()).toMatchObject({ type: 'error', status: 401 });
  });
});

describe('a frame', () => {
  it.each([
    ['no JSON', 'hello', 400],
    ['JSON without an object', 'null', 400],
    ['a list', '[]', 400],
    ['bytes', new Uint8Array([1, 2, 3]), 400],
    ['an unknown type', { type: 'shout' }, 400],
    ['an unknown field', { type: 'ping', volume: 11 }, 400],
    ['a long id', { type: 'ping', id: 'x'.repeat(65) }, 400],
    ['more than 4 KB', { type: 'ping', id: 'x'.repeat(5_000) }, 413],
    ['200 KB', { type: 'ping', id: 'x'.repeat(200_000) }, 413],
  ])('with %s is refused, and the connection stays', async (_what, frame, status) => {
    const socket = await authenticated();
    socket.send(frame);
    expect(await socket.next()).toMatchObject({ type: 'error', status });
    socket.send({ type: 'ping' });
    expect(await socket.next()).toMatchObject({ type: 'pong' });
  });

  it('names each bad field and its own id', async () => {
    const socket = await authenticated();
    socket.send({ type: 'unsubscribe', token: 'a b', chatNumber: 0, id: '7' });
    const answer = await socket.next();
    expect(answer).toMatchObject({ type: 'error', status: 400, title: 'Bad Request', replyTo: '7' });
    expect(answer.errors).toEqual([
      expect.objectContaining({ path: 'token' }),
      expect.objectContaining({ path: 'chatNumber' }),
    ]);
  });

  it('with a bad token is refused without its text', async () => {
    const socket = await open();
    socket.send({ type: 'authenticate', accessToken: 'not-a-token', id: '1' });
    const answer = await socket.next();
    expect(answer).toMatchObject({ type: 'error', status: 401, replyTo: '1' });
    expect(JSON.stringify(answer)).not.toContain('not-a-token');
  });

  it('that names a route of the gateway changes nothing', async () => {
    const socket = await authenticated();
    for (const action of ['$connect', '$disconnect']) socket.send({ type: 'ping', action });
    socket.send({ type: 'ping', id: 'after' });
    await expect.poll(() => socket.frames.some(({ replyTo }) => replyTo === 'after')).toBe(true);
  });

  it('is refused after thirty in ten seconds', async () => {
    const socket = await authenticated();
    for (let i = 0; i < 40; i += 1) socket.send({ type: 'ping', id: `${i}` });
    await expect.poll(() => socket.frames.length, { timeout: 15_000 }).toBe(40);
    expect(socket.frames.filter(({ type }) => type === 'pong')).toHaveLength(29);
    expect(socket.frames.filter(({ status }) => status === 429)).toHaveLength(11);
  });

  it('ends the connection when it is the tenth bad one in a minute', async () => {
    const socket = await authenticated();
    for (let i = 0; i < 10; i += 1) socket.send('not JSON');
    await socket.closed;
    expect(socket.frames.filter(({ status }) => status === 400)).toHaveLength(10);
    expect(socket.frames.at(-1)).toEqual({ type: 'closing', reason: 'bad-frames' });
  });
});

describe('the local API', () => {
  /** A client that does not keep the protocol. */
  const sendRaw = async (frame: Uint8Array): Promise<void> => {
    const { port } = new URL(inject('socketUrl'));
    const socket = connect(Number(port), '127.0.0.1');
    socket.write(
      'GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
    );
    await once(socket, 'data');
    const ended = once(socket, 'close');
    socket.write(frame);
    socket.resume();
    await ended;
  };

  it.each([
    ['text that is not UTF-8', [0x81, 0x82, 0, 0, 0, 0, 0xff, 0xff]],
    ['a frame without a mask', [0x81, 0x02, 0x68, 0x69]],
    ['an unknown kind of frame', [0x8f, 0x80, 0, 0, 0, 0]],
  ])('survives %s', async (_what, bytes) => {
    await sendRaw(new Uint8Array(bytes));
    expect((await user.client.get('/users/me')).status).toBe(200);
  });

  it('lets no page post to connections', async () => {
    const url = new URL('/@connections/one', inject('socketUrl').replace('ws', 'http'));
    const post = (headers: Record<string, string>) => fetch(url, { method: 'POST', body: 'hi', headers });
    expect((await post({ Origin: 'https://chat.example.org' })).status).toBe(403);
    expect((await post({})).status).toBe(410);
  });
});
