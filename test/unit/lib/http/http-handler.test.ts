import type { APIGatewayProxyEventV2 } from 'aws-lambda';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import * as z from 'zod';
import { createAccessTokens } from '#lib/auth/access-tokens.ts';
import { route } from '#lib/contracts/http/route.ts';
import { statuses } from '#lib/contracts/http/statuses.ts';
import { type ErrorCode, KnownError } from '#lib/domain/errors.ts';
import { limits } from '#lib/domain/limits.ts';
import { httpHandler } from '#lib/http/http-handler.ts';
import { logger } from '#lib/runtime/logger.ts';
import { createLambdaContext } from '../../../../local/emulation/lambda-context.ts';
import { apiEvent } from '../../../support/http-event.ts';

const secret = 'secret of the unit tests, said twice '.replaceAll(',', '');

beforeAll(() => {
  // The functions read these with the first access token, and connect to no server.
  Object.assign(process.env, {
    MYSQL_URL: 'mysql://127.0.0.1:1/none',
    REDIS_URL: 'redis://127.0.0.1:1',
    RABBITMQ_URL: 'amqp://127.0.0.1:1',
    JWT_SECRET: secret,
    LIMIT_READS: '0',
    LIMIT_WRITES: '0',
  });
});

const common = {
  function: 'test',
  tag: 'System',
  summary: 'A route of this test',
  authentication: 'none',
  errors: [],
} as const;

const open = route({
  ...common,
  method: 'GET',
  path: '/things',
  request: {},
  response: z.object({ shown: z.string() }),
});

const context = createLambdaContext('test', 15 * 60_000);

const bodyOf = ({ body }: { body?: string | undefined }): unknown => JSON.parse(body ?? 'null');

it.each<[string, unknown]>([
  ['nothing', {}],
  ['null', null],
  ['undefined', undefined],
  ['a text', 'GET /health'],
  ['a list', [1]],
  ['a REST API', { httpMethod: 'GET', path: '/', headers: {}, requestContext: { httpMethod: 'GET' } }],
  ['a queue', { eventSource: 'aws:rmq', rmqMessagesByQueue: {} }],
  ['a schedule', { 'detail-type': 'Scheduled Event', source: 'aws.events' }],
  ['a WebSocket API', { requestContext: { routeKey: '$connect', connectionId: 'x' }, headers: {} }],
  ['a part of one', { requestContext: { http: { method: 'GET' } }, headers: {} }],
])('refuses an event of another kind in one line: %s', async (_what, event) => {
  const handler = httpHandler(open, () => ({ shown: 'x' }));
  await expect(handler(event as never, context)).rejects.toThrow(/^Not an event of an HTTP API.*$/);
});

describe('an answer', () => {
  it('contains only the fields of the contract', async () => {
    const handler = httpHandler(open, () => ({ shown: 'yes', id: 42, passwordHash: 'x' }));
    const answer = await handler(apiEvent(open), context);
    expect(answer.statusCode).toBe(200);
    expect(answer.body).toBe('{"shown":"yes"}');
  });

  it('of a list: nor does one of its items', async () => {
    const list = route({ ...open, response: z.array(z.object({ shown: z.string() })), list: true });
    const answer = await httpHandler(list, () => ({
      items: [
        { shown: 'one', id: 1 } as { shown: string },
        { shown: 'two', nested: { id: 2 } } as { shown: string },
      ],
    }))(apiEvent(list), context);
    expect(bodyOf(answer)).toEqual([{ shown: 'one' }, { shown: 'two' }]);
  });

  it('that does not fit the contract is a bare 500', async () => {
    const logged = vi.spyOn(logger, 'error').mockImplementation(() => undefined);
    const answer = await httpHandler(open, () => ({ shown: 7 }) as unknown as { shown: string })(
      apiEvent(open),
      context,
    );
    expect([answer.statusCode, bodyOf(answer)]).toEqual([
      500,
      { type: 'about:blank', title: 'Internal Server Error', status: 500 },
    ]);
    expect(logged).toHaveBeenCalledOnce();
    logged.mockRestore();
  });

  it('links to the next page with all other parameters of the request', async () => {
    const list = route({
      ...open,
      response: z.array(z.string()),
      list: true,
      request: { query: z.looseObject({}) },
    });
    const handler = httpHandler(list, () => ({ items: ['a'], next: { before: 'c/ 1' } }));
    const event = apiEvent(list, {
      rawQueryString: 'page=3&limit=5',
      queryStringParameters: { page: '3', limit: '5' },
    });
    expect((await handler(event, context)).headers?.Link).toBe('</things?limit=5&before=c%2F+1>; rel="next"');
  });
});

describe('an error', () => {
  it.each(Object.entries(statuses) as [ErrorCode, { status: number; title: string }][])(
    'named %s has its status, as a problem document',
    async (code, { status, title }) => {
      const handler = httpHandler(open, () => {
        throw new KnownError(code, 'What is wrong.', {
          retryAfterSeconds: 7,
          fields: [{ path: 'a', message: 'b' }],
        });
      });
      const answer = await handler(apiEvent(open), context);
      expect(answer.statusCode).toBe(status);
      expect(answer.headers).toMatchObject({
        'Content-Type': 'application/problem+json',
        'Retry-After': '7',
      });
      expect(bodyOf(answer)).toEqual({
        type: 'about:blank',
        title,
        status,
        detail: 'What is wrong.',
        errors: [{ path: 'a', message: 'b' }],
      });
    },
  );

  it('of an unknown kind is logged, and answered without details', async () => {
    const logged = vi.spyOn(logger, 'error').mockImplementation(() => undefined);
    const error = new Error("ER_PARSE_ERROR near 'SELECT password' at db.internal:3306");
    const answer = await httpHandler(open, () => {
      throw error;
    })(apiEvent(open), context);
    expect(answer.statusCode).toBe(500);
    expect(JSON.stringify(answer)).not.toMatch(/SELECT|internal:|stack/);
    expect(logged).toHaveBeenCalledWith('Unexpected error', { code: 'unexpected-error', error });
    logged.mockRestore();
  });
});

describe('a slow request', () => {
  const withRemainingMs = (remainingMs: number) => ({
    ...context,
    getRemainingTimeInMillis: () => remainingMs,
  });

  it('is answered with 503 half a second before the time-out of the function', async () => {
    const logged = vi.spyOn(logger, 'warn').mockImplementation(() => undefined);
    const handler = httpHandler(open, () => new Promise<never>(() => undefined));
    const answer = await handler(apiEvent(open), withRemainingMs(500));
    expect(answer).toMatchObject({
      statusCode: 503,
      headers: { 'Content-Type': 'application/problem+json', 'Retry-After': '5' },
    });
    expect(bodyOf(answer)).toMatchObject({
      status: 503,
      detail: expect.stringContaining('Idempotency-Key'),
    });
    expect(logged).toHaveBeenCalledWith(
      'Unavailable',
      expect.objectContaining({ code: 'request-timed-out' }),
    );
    logged.mockRestore();
  });

  it('leaves no timer behind that could end a later request of a frozen environment', async () => {
    const timers = () => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length;
    let during = 0;
    const handler = httpHandler(open, async () => {
      await new Promise(setImmediate);
      during = timers();
      return { shown: 'yes' };
    });
    expect((await handler(apiEvent(open), withRemainingMs(10_000))).statusCode).toBe(200);
    expect(timers()).toBe(during - 1);
  });
});

describe('a request', () => {
  const create = route({
    ...common,
    method: 'POST',
    path: '/things/{number}',
    authentication: 'bearer',
    request: {
      path: z.strictObject({ number: z.string() }),
      body: z.strictObject({ text: z.string() }),
    },
    response: z.object({ seen: z.unknown() }),
    creates: true,
    // No server runs that could check the token.
    submits: true,
  });
  const handler = httpHandler(create, ({ input, caller, idempotency }) => ({
    seen: { input, caller, idempotencyKey: idempotency?.key },
  }));
  const ask = async (more: Partial<APIGatewayProxyEventV2>) => {
    const { accessToken } = await createAccessTokens([secret]).issue({ id: 7, name: 'Ada' });
    return handler(
      apiEvent(create, {
        pathParameters: { number: '1' },
        body: '{"text":"é"}',
        ...more,
        headers: {
          authorization: `Bearer ${accessToken}`,
          'content-type': 'application/json',
          'idempotency-key': 'key',
          ...more.headers,
        },
      }),
      context,
    );
  };
  const seen = {
    seen: {
      input: { number: '1', text: 'é' },
      caller: { id: 7, name: 'Ada', generation: 0 },
      idempotencyKey: 'key',
    },
  };

  it('is one object of validated fields, with the caller', async () => {
    const answer = await ask({});
    expect([answer.statusCode, bodyOf(answer)]).toEqual([200, seen]);
  });

  it('is the same in base64, with a charset, and with header names in any case', async () => {
    expect(
      bodyOf(await ask({ body: Buffer.from('{"text":"é"}').toString('base64'), isBase64Encoded: true })),
    ).toEqual(seen);
    expect(bodyOf(await ask({ headers: { 'content-type': 'application/json; charset=UTF-8' } }))).toEqual(
      seen,
    );
    const { accessToken } = await createAccessTokens([secret]).issue({ id: 7, name: 'Ada' });
    const event = apiEvent(create, {
      pathParameters: { number: '1' },
      body: '{"text":"é"}',
      headers: {
        Authorization: `Bearer ${accessToken}`,
        'Content-Type': 'application/json',
        'Idempotency-Key': 'key',
      },
    });
    expect(bodyOf(await handler(event, context))).toEqual(seen);
  });

  /** Needs no server to refuse a request: of an access token it would ask whether it has ended. */
  const anyone = route({ ...create, authentication: 'none' });

  it.each([limits.requestBytes, limits.requestBytes + 1])('of %i bytes', async (bytes) => {
    const text = 'é'.repeat(10);
    const body = JSON.stringify({ text });
    const padded = body + ' '.repeat(bytes - Buffer.byteLength(body));
    const answer = await httpHandler(anyone, ({ input }) => ({ seen: input }))(
      apiEvent(anyone, {
        pathParameters: { number: '1' },
        headers: { 'content-type': 'application/json' },
        body: padded,
      }),
      context,
    );
    expect(answer.statusCode).toBe(bytes > limits.requestBytes ? 413 : 200);
  });

  it('to a function with two contracts is validated by the contract of its route', async () => {
    const byBody = route({
      ...anyone,
      path: '/things',
      request: { body: z.strictObject({ number: z.string(), text: z.string() }) },
    });
    const both = httpHandler([anyone, byBody], ({ input }) => ({ seen: input }));
    const { accessToken } = await createAccessTokens([secret]).issue({ id: 7, name: 'Ada' });
    const headers = { authorization: `Bearer ${accessToken}`, 'content-type': 'application/json' };
    const answers = [
      await both(
        apiEvent(create, { headers, pathParameters: { number: '1' }, body: '{"text":"a"}' }),
        context,
      ),
      await both(apiEvent(byBody, { headers, body: '{"number":"1","text":"a"}' }), context),
      await both(apiEvent(byBody, { headers, body: '{"text":"a"}' }), context),
    ];
    expect(answers.map(({ statusCode }) => statusCode)).toEqual([200, 200, 400]);
  });
});
