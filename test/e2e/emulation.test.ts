import { once } from 'node:events';
import { connect } from 'node:net';
import { text as textOf } from 'node:stream/consumers';
import { beforeAll, describe, expect, inject, it } from 'vitest';
import {
  Client,
  createApplication,
  createChat,
  messagesPath,
  type Problem,
  type Reply,
} from '../support/client.ts';
import { apiEvent } from '../support/http-event.ts';
import { createUser, invoke } from '../support/servers.ts';

/* Local emulation is neither kinder nor weaker than API Gateway. */

let client: Client;
let path: string;
beforeAll(async () => {
  ({ client } = await createUser('Ada'));
  const token = await createApplication(client);
  path = messagesPath(token, await createChat(client, token));
});

const json = { 'content-type': 'application/json' };
const bytes = (text: string, encoding: BufferEncoding) => Uint8Array.from(Buffer.from(text, encoding));

/** Sends bytes as they are, on a connection of its own. @returns the status and the body of the answer */
const exchange = async (url: string, request: string) => {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  await once(socket, 'connect');
  socket.write(request);
  const [head = '', body = ''] = (await textOf(socket)).split('\r\n\r\n');
  return {
    status: Number(/^HTTP\/1\.1 (\d+)/.exec(head)?.[1]),
    type: /^content-type: (.*)$/im.exec(head)?.[1],
    body,
  };
};

const expectProblem = ({ status, headers, body, text }: Reply<Problem>, expected: number) => {
  expect([status, headers.get('content-type')], text).toEqual([expected, 'application/problem+json']);
  expect(body).toMatchObject({ type: 'about:blank', title: expect.any(String), status: expected });
};

describe('a function gets', () => {
  it('bytes that are not UTF-8, and refuses them', async () => {
    for (const encoding of ['latin1', 'utf16le'] as const) {
      const reply = await client.call<Problem>('POST', path, {
        raw: bytes('{"body":"Übung"}', encoding),
        headers: json,
      });
      expectProblem(reply, 400);
      expect(reply.body.errors?.map((error) => error.path)).toEqual(['body']);
    }
  });

  it('a body without a type, and refuses it', async () => {
    expectProblem(await client.call<Problem>('POST', path, { raw: '{"body":"x"}' }), 415);
  });

  it('a compressed body, and refuses it', async () => {
    const headers = { ...json, 'content-encoding': 'br' };
    expectProblem(await client.call<Problem>('POST', path, { raw: '{"body":"x"}', headers }), 415);
  });

  it.each(['false', '0', 'null', '""', '"{}"', '[]'])('the JSON value %s, and names body', async (raw) => {
    const reply = await client.call<Problem>('POST', path, { raw, headers: json });
    expectProblem(reply, 400);
    expect(reply.body.errors?.map((error) => error.path)).toEqual(['body']);
  });

  it('every valid message, however it is escaped', async () => {
    const raw = `{"body":"${'\\ud83d\\ude00'.repeat(16_000)}"}`;
    const reply = await client.call<{ messageNumber: number }>('POST', path, { raw, headers: json });
    expect(reply.status, reply.text.slice(0, 200)).toBe(200);
    const { body } = await client.get<{ body: string }>(`${path}/${reply.body.messageNumber}`);
    expect(body.body).toBe('😀'.repeat(16_000));
  });
});

describe('an error of the emulation is a problem document:', () => {
  it.each(['/%zz', '/%', '/%c3%28', '/%00'])('a path that ends with %s', async (end) => {
    const reply = await client.get<Problem>(path + end);
    expectProblem(reply, 400);
  });

  it('a body above its own limit', async () => {
    const raw = ' '.repeat(11 * 1024 * 1024);
    expectProblem(await client.call<Problem>('POST', path, { raw, headers: json }), 413);
  });

  it.each([
    ['no HTTP', 'hello\r\n\r\n', 400],
    ['no Host', 'GET /health HTTP/1.1\r\nConnection: close\r\n\r\n', 400],
    ['headers too long', `GET /health HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`, 431],
    ['an expectation', 'POST /users HTTP/1.1\r\nHost: x\r\nExpect: x\r\nConnection: close\r\n\r\n', 417],
    [
      'a length that is none',
      'POST /users HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\nConnection: close\r\n\r\n',
      400,
    ],
  ])('%s', async (_name, request, status) => {
    const answer = await exchange(inject('apiUrl'), request);
    expect([answer.status, answer.type]).toEqual([status, 'application/problem+json']);
    expect(JSON.parse(answer.body)).toMatchObject({ type: 'about:blank', status });
  });
});

it('gives no part of an answer, and takes any cookie', async () => {
  const { client: other } = await createUser('Bob');
  const reply = await other.get('/applications', { range: 'bytes=0-0', cookie: 'a="b;;=' });
  expect([reply.status, reply.text]).toEqual([200, '[]']);
});

it('lets no page read an answer, unless its origin is listed', async () => {
  const origin = 'https://evil.example.org';
  for (const [method, headers] of [
    ['GET', { origin }],
    ['OPTIONS', { origin, 'access-control-request-method': 'POST' }],
  ] as const) {
    const reply = await client.call(method, '/applications', { headers });
    const names = [...reply.headers.keys()].filter((name) => name.startsWith('access-control'));
    expect(names, method).toEqual([]);
  }
});

describe('the port that runs functions by name', () => {
  const path = '/2015-03-31/functions/chat-dev-getOpenapi/invocations';

  it.each([
    ['a foreign Origin', { origin: 'https://evil.example.org' }],
    ['no origin of its own', { origin: 'null' }],
    ['a local origin', { origin: 'http://127.0.0.1:5173' }],
    ['a foreign Host', { host: 'evil.example.org' }],
    ['a Host that only looks local', { host: '127.0.0.1.evil.example.org' }],
    ['the mark of a browser', { 'sec-fetch-site': 'cross-site' }],
  ])('refuses a page with %s', async (_name, headers) => {
    const local = new Client(inject('lambdaUrl'));
    const sent = { raw: '{}', headers: { 'content-type': 'text/plain', ...headers } };
    expectProblem(await local.call<Problem>('POST', path, sent), 403);
  });

  it('runs one for a local program', async () => {
    const event = apiEvent({ method: 'GET', path: '/openapi.json' });
    expect(await invoke('getOpenapi', event)).toMatchObject({ statusCode: 200 });
  });
});
