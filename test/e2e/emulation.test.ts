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

describe('a Content-Type', () => {
  it.each(['application/json; x=1', 'application/json;'])('%s declares JSON', async (type) => {
    const headers = { 'content-type': type };
    expect((await client.call('POST', path, { raw: '{"body":"x"}', headers })).status).toBe(200);
  });

  it.each(['json', '/', ';', 'application/json, application/json', 'multipart/form-data', ''])(
    '%j is refused by the function, however malformed it is',
    async (type) => {
      const headers = { 'content-type': type };
      expectProblem(await client.call<Problem>('POST', path, { raw: '{"body":"x"}', headers }), 415);
    },
  );
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
    ...['a b', 'x/y', 'user@x', 'x:99999', '%zz'].map((host): [string, string, number] => [
      `the Host ${host}`,
      `GET /health HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`,
      400,
    ]),
    ['a proxy', 'CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\r\n', 400],
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

it.each(['', 'Connection: keep-alive\r\n', 'Host: x\r\n', 'User-Agent: probe\r\n'])(
  'answers HTTP/1.0, which needs no Host: %j',
  async (headers) => {
    const answer = await exchange(inject('apiUrl'), `GET /health HTTP/1.0\r\n${headers}\r\n`);
    expect([answer.status, answer.type]).toEqual([200, expect.stringMatching(/^application\/json\b/)]);
    expect(JSON.parse(answer.body)).toMatchObject({ status: 'ok' });
  },
);

describe('a representation', () => {
  /** Headers that neither the connection nor a limit or CORS adds. */
  const ownHeaders = ({ headers }: Reply<unknown>) =>
    [...headers.keys()].filter(
      (name) => !/^(connection|date|keep-alive|ratelimit.*|content-length)$/.test(name),
    );

  it.each(['/openapi.json', '/health', 'messages'])(
    'is never compressed by the emulation: %s',
    async (target) => {
      const at = target === 'messages' ? path : target;
      const answers = await Promise.all(
        ['identity', 'gzip', 'gzip, deflate, br', '*'].map((encoding) =>
          client.get(at, { 'accept-encoding': encoding }),
        ),
      );
      for (const answer of answers) {
        expect([answer.status, answer.headers.get('content-encoding')]).toEqual([200, null]);
        expect(answer.text).toBe(answers[0]?.text);
      }
    },
  );

  it('of the page has a strong tag as it is and a weak one compressed', async () => {
    const [plain, compressed] = await Promise.all(
      ['identity', 'gzip'].map((encoding) => client.get('/docs', { 'accept-encoding': encoding })),
    );
    const tag = plain?.headers.get('etag');
    expect(compressed?.headers.get('content-encoding')).toBe('gzip');
    expect([tag?.startsWith('"'), compressed?.headers.get('etag')]).toEqual([true, `W/${tag}`]);
  });

  it.each(['/openapi.json', '/health', '/docs', '/applications', 'messages', 'search'])(
    'that a client has is answered 304 with ETag, Cache-Control, Vary and its place in the feed alone: %s',
    async (target) => {
      const at = { messages: path, search: `${path}/search?q=x` }[target] ?? target;
      const first = await client.get(at);
      const etag = first.headers.get('etag') ?? '';
      for (const known of [etag, `W/${etag}`, `"other", ${etag}`, '*']) {
        const again = await client.get(at, { 'if-none-match': known });
        expect([again.status, again.text, again.headers.get('etag')]).toEqual([304, '', etag]);
        const place = target === 'messages' ? ['changes-up-to'] : [];
        expect(ownHeaders(again).sort()).toEqual(['cache-control', ...place, 'etag', 'vary']);
      }
      expect((await client.get(at, { 'if-none-match': '"other"' })).status).toBe(200);
    },
  );
});

it('gives no part of an answer, and takes any cookie', async () => {
  const { client: other } = await createUser('Bob');
  const reply = await other.get('/applications', { range: 'bytes=0-0', cookie: 'a="b;;=' });
  expect([reply.status, reply.text]).toEqual([200, '[]']);
});

describe('a page', () => {
  const origin = 'https://chat.example.org';
  const preflight = {
    'access-control-request-method': 'POST',
    'access-control-request-headers': 'authorization,content-type',
  };
  /** All CORS headers, and whether caches keep the answers to origins apart. hapi adds to `Vary` for compression. */
  const corsHeadersOf = ({ headers }: Reply<unknown>) => ({
    ...Object.fromEntries([...headers].filter(([name]) => name.startsWith('access-control'))),
    variesByOrigin: (headers.get('vary') ?? '').split(/ *, */).includes('Origin'),
  });
  const readable = {
    'access-control-allow-origin': origin,
    'access-control-expose-headers':
      'Link, Retry-After, Search-Lag, Changes-Up-To, ETag, RateLimit, RateLimit-Policy',
    variesByOrigin: true,
  };

  it('of a listed origin may ask for any route, without a token and without credentials', async () => {
    const anybody = new Client(inject('apiUrl'));
    for (const route of ['/applications', '/users', path, '/nowhere']) {
      const reply = await anybody.call('OPTIONS', route, { headers: { origin, ...preflight } });
      expect([reply.status, reply.text], route).toEqual([204, '']);
      expect(corsHeadersOf(reply), route).toEqual({
        ...readable,
        'access-control-allow-methods': 'GET, HEAD, POST, PUT, DELETE',
        'access-control-allow-headers':
          'Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match',
        'access-control-max-age': '600',
      });
    }
  });

  it('of a listed origin may read answers and problems', async () => {
    const found = await client.get('/applications', { origin });
    expect([found.status, corsHeadersOf(found)]).toEqual([200, readable]);
    const invalid = await client.post<Problem>(path, { nope: 1 }, { origin });
    expectProblem(invalid, 400);
    expect(corsHeadersOf(invalid)).toEqual(readable);
    const unknown = await client.get<Problem>('/nowhere', { origin });
    expectProblem(unknown, 404);
    expect(corsHeadersOf(unknown)).toEqual(readable);
  });

  it.each([
    'https://evil.example.org',
    'null',
    'https://chat.example.org.evil.org',
    'http://chat.example.org',
  ])('of %s may not, and the emulation adds no header of its own', async (foreign) => {
    const found = await client.get('/applications', { origin: foreign });
    expect(corsHeadersOf(found)).toEqual({ variesByOrigin: true });
    const asked = await client.call<Problem>('OPTIONS', '/applications', {
      headers: { origin: foreign, ...preflight },
    });
    expectProblem(asked, 405);
    expect(corsHeadersOf(asked)).toEqual({ variesByOrigin: true });
  });
});

describe('an access token', () => {
  const ask = (authorization: string) =>
    new Client(inject('apiUrl')).get<Problem>('/applications', { authorization });

  it('may follow the scheme in any case and after several spaces', async () => {
    for (const scheme of ['bearer', 'BEARER', 'Bearer  ']) {
      expect((await ask(`${scheme} ${client.accessToken}`)).status, scheme).toBe(200);
    }
  });

  it.each([
    ['is long', `Bearer ${'x'.repeat(9_000)}`],
    ['is long and has the form of a token', `Bearer eyJhbGciOiJkaXIifQ..a.${'x'.repeat(9_000)}.a`],
    ['contains a space', 'Bearer a b'],
    ['is given twice', 'Bearer a, Bearer b'],
    ['has no scheme', 'abc'],
  ])('that %s is refused with 401', async (_what, authorization) => {
    const reply = await ask(authorization);
    expectProblem(reply, 401);
    expect(reply.headers.get('www-authenticate')).toMatch(
      authorization.startsWith('Bearer')
        ? /^Bearer realm="chat", error="invalid_token"/
        : /^Bearer realm="chat"$/,
    );
  });

  it('in two headers is refused with 401', async () => {
    const header = `Authorization: Bearer ${client.accessToken}`;
    const answer = await exchange(
      inject('apiUrl'),
      `GET /applications HTTP/1.1\r\nHost: x\r\n${header}\r\n${header}\r\nConnection: close\r\n\r\n`,
    );
    expect([answer.status, answer.type]).toEqual([401, 'application/problem+json']);
  });
});

it.each(['%ff', '%zz', '%DCbung', '%ED%A0%80'])('refuses by name the query parameter %s', async (text) => {
  const reply = await client.get<Problem>(`${path}/search?q=${text}`);
  expectProblem(reply, 400);
  expect(reply.body.errors).toEqual([{ path: 'q', message: 'Must be percent-encoded UTF-8' }]);
});

it('refuses a repeated query parameter by name', async () => {
  const reply = await client.get<Problem>(`${path}/search?q=a&q=b`);
  expectProblem(reply, 400);
  expect(reply.body.errors).toEqual([{ path: 'q', message: 'Must be given once' }]);
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

  it.each([
    ['the Lambda API', '2015-03-31/functions/chat-dev-persistMessage/invocations', 'Event'],
    ['its old form', '2014-11-13/functions/chat-dev-persistMessage/invoke-async/', undefined],
  ])('survives a function that throws after nobody waited for it, by %s', async (_name, invocation, type) => {
    for (const event of [{}, { rmqMessagesByQueue: null }]) {
      const response = await fetch(`${inject('lambdaUrl')}/${invocation}`, {
        method: 'POST',
        headers: type === undefined ? {} : { 'x-amz-invocation-type': type },
        body: JSON.stringify(event),
      });
      expect(response.ok).toBe(true);
    }
    // It runs after the two above, in the same process.
    await expect(invoke('persistMessage', {})).rejects.toThrow('persistMessage failed');
    expect((await client.get('/health')).status).toBe(200);
  });

  it('tells a caller that waits of a function that throws', async () => {
    await expect(invoke('persistMessage', {})).rejects.toThrow('persistMessage failed');
  });
});
