import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import { text as textOf } from 'node:stream/consumers';
import type { APIGatewayProxyEventV2 } from 'aws-lambda';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { prepareApiServer, prepareFunctions } from '../../../../plugins/raw-body/api-server.ts';
import { rawProblemOf } from '../../../../plugins/raw-body/problems.ts';
import { asSent, type SentRequest, sentRequestOf } from '../../../../plugins/raw-body/sent-request.ts';
import type {
  HapiRequest,
  HapiServer,
  LambdaPool,
  Toolkit,
} from '../../../../plugins/raw-body/serverless-offline.ts';
import { apiEvent } from '../../../support/http-event.ts';

const sentOf = (more: Partial<SentRequest>): SentRequest => ({
  method: 'POST',
  url: '/things',
  headers: {},
  body: undefined,
  ...more,
});
const emulated = (more: Partial<APIGatewayProxyEventV2> = {}) =>
  apiEvent({ method: 'POST', path: '/things' }, more);

describe('the event of a request', () => {
  it('has the exact bytes of the body', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1 }), (bytes) => {
        const { body = '', isBase64Encoded } = asSent(
          emulated({ body: 'parsed' }),
          sentOf({ body: Buffer.from(bytes) }),
        );
        expect(Buffer.from(body, isBase64Encoded ? 'base64' : 'utf8')).toEqual(Buffer.from(bytes));
      }),
    );
  });

  it('has a body as text where it is UTF-8', () => {
    const event = asSent(emulated(), sentOf({ body: Buffer.from('{"a":"é👋"}') }));
    expect([event.body, event.isBase64Encoded]).toEqual(['{"a":"é👋"}', false]);
  });

  it('has no body, no Content-Type and no Content-Length that the client did not send', () => {
    const event = asSent(
      emulated({
        body: 'null',
        headers: { 'content-type': 'application/json', 'content-length': '4', accept: '*/*' },
      }),
      sentOf({ headers: { accept: '*/*' } }),
    );
    expect(event).not.toHaveProperty('body');
    expect(event.headers).toEqual({ accept: '*/*' });
  });

  it('has all headers of the client, also those that hapi drops, and joins repeated ones', () => {
    const rawHeaders = ['Host', 'x', 'Origin', 'https://a.example', 'X-A', '1', 'x-a', '2', '__proto__', 'p'];
    const request = {
      raw: { req: { method: 'GET', url: '/', httpVersion: '1.1', headers: { host: 'x' }, rawHeaders } },
      payload: null,
    };
    const { headers } = asSent(emulated(), sentRequestOf(request));
    expect(Object.entries(headers)).toEqual([
      ['host', 'x'],
      ['origin', 'https://a.example'],
      ['x-a', '1,2'],
      ['__proto__', 'p'],
    ]);
  });

  it.each([
    ['/health//', '/health//'],
    ['/a/?b=/c/', '/a/'],
    ['/a#b', '/a'],
    ['http://example.org/a%2Fb/?c', '/a%2Fb/'],
    ['http://example.org', '/'],
  ])('has the path as it was written: %s', (url, path) => {
    expect(asSent(emulated(), sentOf({ url })).rawPath).toBe(path);
  });

  it('has the query as it was written, the method HEAD, and an id of its own', () => {
    const get = apiEvent({ method: 'GET', path: '/health' });
    const event = asSent(get, sentOf({ method: 'HEAD', url: '/health?a=%20+&a=%c3%a9' }));
    expect([event.rawQueryString, event.routeKey, event.requestContext.http.method]).toEqual([
      'a=%20+&a=%c3%a9',
      'HEAD /health',
      'HEAD',
    ]);
    expect(asSent(get, sentOf({})).requestContext.requestId).not.toBe(event.requestContext.requestId);
  });
});

const request: HapiRequest = {
  method: 'post',
  path: '/things',
  headers: {},
  payload: null,
  raw: { req: { method: 'POST', url: '/things', httpVersion: '1.1', headers: {}, rawHeaders: [] } },
  response: {},
  setMethod: () => undefined,
};
const toolkit: Toolkit = {
  continue: Symbol('continue'),
  response: () => {
    throw new Error('The server answered in place of the function');
  },
};

/** Calls a function of the pool as serverless-offline's handler does, on a server that this plugin prepared. */
const answerOf = async (run: () => Promise<unknown>): Promise<unknown> => {
  const pool: LambdaPool = { get: () => ({ setEvent: () => undefined, runHandler: run }) };
  const logged: string[] = [];
  prepareFunctions(pool, (functionKey) => logged.push(functionKey));
  const route = {
    settings: {
      handler: async (): Promise<unknown> => {
        const found = pool.get('listThings');
        found.setEvent(emulated());
        return found.runHandler();
      },
    },
  };
  const server: HapiServer = {
    settings: { port: 1 },
    listener: createServer(),
    ext: () => undefined,
    table: () => [route],
    start: async () => undefined,
  };
  prepareApiServer(server, new Set());
  const handle: (request: HapiRequest, toolkit: Toolkit) => Promise<unknown> = route.settings.handler;
  return handle(request, toolkit);
};

describe('a function', () => {
  it('answers as it will', async () => {
    expect(await answerOf(async () => ({ statusCode: 200 }))).toEqual({ statusCode: 200 });
  });

  it.each([
    ['takes too long', '[504] - Lambda timeout.', 503],
    ['throws', 'SELECT password FROM users', 500],
  ])(
    'that %s is answered for with a problem that says nothing of its error',
    async (_what, message, status) => {
      const answer = await answerOf(() => Promise.reject(new Error(message)));
      expect(answer).toMatchObject({
        statusCode: status,
        headers: { 'Content-Type': 'application/problem+json' },
      });
      expect(JSON.stringify(answer)).not.toMatch(/SELECT|stack|Lambda/);
    },
  );
});

describe('the server of the API', () => {
  const withServer = async (work: (port: number) => Promise<void>) => {
    const listener = createServer({ connectionsCheckingInterval: 20 }, () => undefined);
    const server: Pick<HapiServer, 'listener' | 'ext' | 'table' | 'settings'> = {
      settings: { port: 0 },
      listener,
      ext: () => undefined,
      table: () => [],
    };
    prepareApiServer({ ...server, start: async () => undefined }, new Set(), 100);
    listener.listen(0, '127.0.0.1');
    await once(listener, 'listening');
    const address = listener.address();
    try {
      await work(typeof address === 'object' ? (address?.port ?? 0) : 0);
    } finally {
      listener.closeAllConnections();
      listener.close();
    }
  };
  const expectProblem = async (request: string, status: number) => {
    await withServer(async (port) => {
      const socket = connect(port, '127.0.0.1');
      socket.write(request);
      const [head = '', body = ''] = (await textOf(socket)).split('\r\n\r\n');
      expect(head).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
      expect(head).toContain('Content-Type: application/problem+json');
      expect(JSON.parse(body)).toMatchObject({ status });
    });
  };

  it.each([
    ['headers', 'POST /a HTTP/1.1\r\nHost: x\r\n'],
    ['a body', 'POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{'],
    ['a chunk', 'POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n{'],
  ])('answers 408 to a request whose end does not arrive: %s', async (_what, request) => {
    await expectProblem(request, 408);
  });

  /** A client that reads its answer, and then neither closes its side nor sends an end. */
  const answerAndClose = (port: number, request: string): Promise<string> =>
    new Promise((resolve, reject) => {
      const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
      const deadline = setTimeout(() => reject(new Error('The connection stayed open')), 4_000);
      let answer = '';
      let interval: NodeJS.Timeout | undefined;
      // The server has closed both directions as soon as a write fails.
      socket.on('end', () => {
        interval = setInterval(() => socket.write('x'), 50);
      });
      socket.on('error', () => undefined);
      socket.setEncoding('utf8').on('data', (text) => {
        answer += text;
      });
      socket.on('close', () => {
        clearTimeout(deadline);
        clearInterval(interval);
        resolve(answer);
      });
      socket.write(request);
    });

  it.each([
    ['no HTTP', 'hello\r\n\r\n', 400],
    ['an invalid length', 'POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 1x\r\n\r\n', 400],
    ['two lengths', 'POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n', 400],
    ['a method of no kind', 'BREW /a HTTP/1.1\r\nHost: x\r\n\r\n', 400],
    ['another protocol', 'GET /a SIP/2.0\r\nHost: x\r\n\r\n', 400],
    ['TLS', '\u0016\u0003\u0001\u0002\u0000', 400],
    ['long headers', `GET /a HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(200_000)}\r\n\r\n`, 431],
    ['no end', 'POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{', 408],
    ['a proxy', 'CONNECT example.org:443 HTTP/1.1\r\nHost: example.org\r\n\r\n', 400],
  ])(
    'closes the connection after its own answer, though the client does not: %s',
    async (_what, request, status) => {
      await withServer(async (port) => {
        const answer = await answerAndClose(port, request);
        expect(answer.match(/HTTP\/1\.1 \d+/g)).toEqual([`HTTP/1.1 ${status}`]);
        expect(answer).toMatch(/^Connection: close\r$/m);
      });
    },
  );

  it('survives a CONNECT whose client resets the connection', async () => {
    await withServer(async (port) => {
      const socket = connect(port, '127.0.0.1');
      socket.on('error', () => undefined);
      socket.write('CONNECT example.org:443 HTTP/1.1\r\nHost: example.org\r\n\r\n', () =>
        socket.resetAndDestroy(),
      );
      await once(socket, 'close');
      const next = connect(port, '127.0.0.1', () => next.write('x\r\n\r\n'));
      expect(await textOf(next)).toContain('HTTP/1.1 400');
    });
  });

  it('is no proxy', async () => {
    await expectProblem('CONNECT example.org:443 HTTP/1.1\r\nHost: example.org\r\n\r\n', 400);
  });
});

it('a request that cannot be parsed is answered in well-formed HTTP', () => {
  const [head = '', body = ''] = rawProblemOf(431).split('\r\n\r\n');
  expect(head).toMatch(/^HTTP\/1\.1 431 Request Header Fields Too Large\r\n/);
  expect(head).toContain(`Content-Length: ${Buffer.byteLength(body)}`);
  expect(JSON.parse(body)).toMatchObject({ type: 'about:blank', status: 431 });
});
