import { randomUUID } from 'node:crypto';
import { connect } from 'amqplib';
import type { APIGatewayProxyEventV2 } from 'aws-lambda';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { createAccessTokens } from '#lib/auth/access-tokens.ts';
import { factsOf } from '#lib/domain/error-facts.ts';
import { asCustomResource } from '#lib/job/custom-resource.ts';
import { openDatabase } from '#lib/mysql/connection/database.ts';
import { openBroker } from '#lib/rabbitmq/connection.ts';
import { createRedisClient } from '#lib/redis/connection/client.ts';
import { createKeys } from '#lib/redis/script/keys.ts';
import { logClientError, logger } from '#lib/runtime/logger.ts';
import { createLambdaContext } from '../../local/emulation/lambda-context.ts';
import { eventually, type System, startSystem } from '../support/own-system.ts';

/*
 * Every kind of error is made on real servers, with a marker in all of its data. The marker must appear in no log line, no thrown
 * error and no reason.
 */

const MARKER = 'mArKeR';
const password = `${MARKER}-password`;
const body = `${MARKER} "it's" a \`body\` 👋`;

let system: System;
let token: string;
let chatNumber: number;
let stopConsuming: (() => Promise<void>) | undefined;
let bearer: string;
const lines: string[] = [];

const codes = () => lines.flatMap((line) => (line.startsWith('{') ? [String(JSON.parse(line).code)] : []));
const admin = (sql: string) => system.services.database().select(sql, []);
const reasonsOf = async (queue: string): Promise<string[]> => {
  const report = await system.invoke('deadLetters', { action: 'list', queue });
  return Object.keys((report as Record<string, { reasons: object }>)[queue]?.reasons ?? {});
};
const discard = (queue: string) => system.invoke('deadLetters', { action: 'discard', queue });
const publish = async (queue: string, ...contents: (object | string)[]) => {
  const connection = await connect(system.stack.urls.RABBITMQ_URL);
  try {
    const channel = await connection.createConfirmChannel();
    for (const content of contents) {
      const text = typeof content === 'string' ? content : JSON.stringify(content);
      channel.sendToQueue(queue, Buffer.from(text), { messageId: `${MARKER} ${randomUUID()}` });
    }
    await channel.waitForConfirms();
  } finally {
    await connection.close();
  }
};
const thrownBy = async (work: () => Promise<unknown>): Promise<Error> => {
  const error = await work().then(
    () => expect.unreachable('Nothing was thrown'),
    (thrown: unknown) => thrown,
  );
  return error instanceof Error ? error : expect.unreachable('No error was thrown');
};
/** All that a runtime may print about a thrown error: its text, its stack, its own properties, and its causes. */
const printed = (error: Error): string =>
  JSON.stringify([error.message, error.stack, Object.entries(error)]) +
  (error.cause instanceof Error ? printed(error.cause) : '');

const call = async (
  file: () => Promise<{ handler: unknown }>,
  routeKey: string,
  {
    pathParameters = {},
    authorization = bearer,
    sent,
  }: { pathParameters?: object; authorization?: string; sent?: object },
) => {
  const { handler } = (await file()) as { handler: (event: unknown, context: unknown) => Promise<unknown> };
  const [method = '', path = ''] = routeKey.split(' ');
  const event: Partial<APIGatewayProxyEventV2> = {
    version: '2.0',
    routeKey,
    rawPath: path,
    rawQueryString: '',
    headers: { 'content-type': 'application/json', authorization },
    pathParameters: pathParameters as Record<string, string>,
    ...(sent === undefined ? {} : { body: JSON.stringify(sent) }),
    isBase64Encoded: false,
    requestContext: {
      http: { method, path, protocol: 'HTTP/1.1', sourceIp: '192.0.2.1', userAgent: '' },
      requestId: randomUUID(),
      routeKey,
    } as APIGatewayProxyEventV2['requestContext'],
  };
  const answer = await handler(event, createLambdaContext('test', 60_000));
  return answer as { statusCode: number };
};

beforeAll(async () => {
  system = await startSystem('logged-errors', { environment: { POWERTOOLS_LOG_LEVEL: 'DEBUG' } });
  logger.setLogLevel('DEBUG');
  bearer = `Bearer ${
    (await createAccessTokens([system.stack.secret('jwt')]).issue({ id: system.userId, name: 'Ada' }))
      .accessToken
  }`;
  for (const stream of [process.stdout, process.stderr]) {
    vi.spyOn(stream, 'write').mockImplementation((text) => {
      lines.push(...String(text).split('\n'));
      return true;
    });
  }
});
beforeEach(async () => {
  token = await system.accept.application();
  chatNumber = await system.accept.chat(token);
  stopConsuming = await system.consume();
  lines.length = 0;
});
afterEach(async () => {
  const said = lines.join('\n');
  await stopConsuming?.();
  for (const queue of ['create-message', 'create-application', 'update-message', 'index-message'])
    await discard(queue);
  expect(said).not.toContain(MARKER);
});
afterAll(async () => {
  vi.restoreAllMocks();
  await system?.stop();
});

describe('MySQL', { timeout: 60_000 }, () => {
  test.each<[string, string, string]>([
    [
      'a value that does not fit',
      'ALTER TABLE messages MODIFY body VARCHAR(20) NOT NULL',
      'ALTER TABLE messages MODIFY body TEXT NOT NULL',
    ],
    [
      'a character that its column cannot hold',
      'ALTER TABLE messages MODIFY body TEXT CHARACTER SET latin1 NOT NULL',
      'ALTER TABLE messages MODIFY body TEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL',
    ],
    [
      'a trigger that quotes the body',
      `CREATE TRIGGER trouble BEFORE INSERT ON messages FOR EACH ROW BEGIN
         IF NEW.body LIKE '${MARKER}%' THEN
           SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'no \\'${MARKER}\\' here';
         END IF; END`,
      'DROP TRIGGER trouble',
    ],
  ])('%s: the reason has the code, and no line the statement', async (_what, before, after) => {
    await admin(before);
    try {
      await Promise.all([
        ...Array.from({ length: 20 }, (_, at) => system.accept.message(token, chatNumber, `fine ${at}`)),
        system.accept.message(token, chatNumber, body),
      ]);
      await eventually(async () => expect(await reasonsOf('create-message')).toHaveLength(1));
      expect((await reasonsOf('create-message'))[0]).toMatch(/\(ER_\w+, [0-9A-Z]{5}\)$/);
      expect((await reasonsOf('create-message'))[0]).not.toContain(MARKER);
      expect(codes()).toContain('dead-letters');
    } finally {
      await discard('create-message');
      await admin(after);
    }
  });

  test('a statement of a request: one line, and an answer without details', async () => {
    await admin(
      `CREATE TRIGGER trouble BEFORE INSERT ON users FOR EACH ROW SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'no'`,
    );
    try {
      const sent = { name: MARKER, email: `${MARKER}@example.org`, password };
      const file = () => import('../../functions/http/users/sign-up.ts');
      expect(await call(file, 'POST /users', { sent })).toMatchObject({ statusCode: 500 });
      expect(codes()).toContain('unexpected-error');
    } finally {
      await admin('DROP TRIGGER trouble');
    }
  });

  test('a thrown error and a refused password', async () => {
    const statement = () => system.services.database().select(`SELECT no_such_function(?) AS x`, [MARKER]);
    const refused = openDatabase(urlWith(system.stack.urls.MYSQL_URL), {
      poolSize: 1,
      timeoutMs: 5_000,
      onError: logClientError('MySQL of a test'),
    });
    const connect = () => refused.select('SELECT 1', []);
    const write = () => system.services.database().write('INSERT INTO epochs (number) VALUES (?)', [MARKER]);
    for (const work of [statement, connect, write])
      expect(printed(await thrownBy(work))).not.toContain(MARKER);
    expect(codes()).toContain('server-unreachable');
    await refused.close();
  });
});

/** The URL with a user and a password that the server does not know. */
const urlWith = (text: string): string => {
  const url = new URL(text);
  url.username = MARKER;
  url.password = password;
  return url.href;
};

describe('Redis', { timeout: 60_000 }, () => {
  test('a script that fails in a request', async () => {
    const { redis } = await (await import('#lib/runtime/services/servers.ts')).redisClient().connection();
    await redis.set(createKeys().pendingOrder(token, chatNumber), 'not a sorted set');
    const file = () => import('../../functions/http/messages/create-message.ts');
    const answer = await call(file, 'POST /applications/{token}/chats/{chatNumber}/messages', {
      pathParameters: { token, chatNumber: String(chatNumber) },
      sent: { body },
    });
    expect(answer).toMatchObject({ statusCode: 500 });
    expect(codes()).toContain('unexpected-error');
    await redis.del(createKeys().pendingOrder(token, chatNumber));
  });

  test('a refused password, and a command that the server does not know', async () => {
    const client = createRedisClient(urlWith(system.stack.urls.REDIS_URL), {
      timeoutMs: 2_000,
      onError: logClientError('Redis of a test'),
    });
    const error = await thrownBy(() => client.connection());
    logger.error('as a handler logs it', { code: 'test', error });
    expect(codes()).toContain('server-unreachable');
    client.close();
    const { redis } = await (await import('#lib/runtime/services/servers.ts')).redisClient().connection();
    const unknown = await thrownBy(() => redis.call('NOSUCHCOMMAND', MARKER));
    logger.error('as a handler logs it', { code: 'test', error: unknown });
  });
});

describe('OpenSearch', { timeout: 60_000 }, () => {
  const document = {
    chatNumber: 1,
    messageNumber: 1,
    senderName: 'Ada',
    createdAt: new Date().toISOString(),
  };

  test('a document that does not fit: its reason names the field and no value', async () => {
    const index = (await import('#lib/runtime/services/opensearch.ts')).messageIndex();
    const bad = { ...document, token: 'app', body, createdAt: `${MARKER} is no date`, version: 1 };
    const { refused } = await index.write([bad]);
    expect(refused).toMatchObject([
      { reason: expect.stringMatching(/^400 \w+_exception in field createdAt$/) },
    ]);
  });

  test('a request that the server finds invalid, and one without an answer', async () => {
    const { connectOpenSearch } = await import('#lib/opensearch/client.ts');
    const { request } = await import('#lib/opensearch/request.ts');
    const client = connectOpenSearch(system.stack.urls.OPENSEARCH_URL ?? '');
    const invalid = { method: 'POST', path: '/_search', body: { query: { [MARKER]: body } } } as const;
    const elsewhere = connectOpenSearch('http://127.0.0.1:9');
    for (const error of [
      await thrownBy(() => request(client, { ...invalid, timeoutMs: 5_000 })),
      await thrownBy(() => request(client, { ...invalid, timeoutMs: 1 })),
      await thrownBy(() => request(elsewhere, { ...invalid, timeoutMs: 5_000 })),
    ]) {
      expect(printed(error)).not.toContain(MARKER);
      logger.error('as a handler logs it', { code: 'test', error });
    }
    await Promise.all([client.close(), elsewhere.close()]);
  });
});

describe('RabbitMQ', { timeout: 60_000 }, () => {
  test('a refused password, and a queue that is not there', async () => {
    const options = { timeoutMs: 5_000, onError: logClientError('RabbitMQ of a test') };
    const broker = openBroker(urlWith(system.stack.urls.RABBITMQ_URL), options);
    const errors = [await thrownBy(() => broker.withChannel(async () => undefined))];
    const { publisher } = system.services;
    errors.push(
      await thrownBy(() => publisher().publish([{ queue: 'nowhere', content: body, messageId: MARKER }])),
    );
    for (const error of errors) {
      expect(printed(error)).not.toContain(MARKER);
      logger.error('as a handler logs it', { code: 'test', error });
    }
    expect(codes()).toContain('server-unreachable');
    await broker.close();
  });

  test.each<[string, string | object]>([
    ['no JSON', `{"body": "${MARKER}`],
    ['values of other types', { token: { [MARKER]: 1 }, chatNumber: MARKER, date: MARKER, body: [MARKER] }],
    ['unknown fields', { [MARKER]: MARKER }],
    ['a name with control characters', { token: 'a', name: `${MARKER}\u0000`, creatorId: 1, date: MARKER }],
    ['a barrier with a marker', { barrier: { id: MARKER, epoch: MARKER, [MARKER]: 1 } }],
  ])('a malformed message: %s', async (_what, content) => {
    for (const queue of ['create-message', 'create-application', 'update-message', 'index-message']) {
      await publish(queue, content);
      await eventually(async () => expect(await reasonsOf(queue)).toHaveLength(1));
      expect((await reasonsOf(queue))[0]).toMatch(/^malformed: /);
      expect((await reasonsOf(queue))[0]).not.toContain(MARKER);
    }
    expect(codes().filter((code) => code === 'dead-letters')).toHaveLength(4);
  });
});

test('options of a job, an answer over HTTP, and JSON that cannot be read', async () => {
  const errors = [
    await thrownBy(() => system.invoke('deadLetters', { action: MARKER, limit: MARKER })),
    await thrownBy(() =>
      asCustomResource(async () => ({}))(
        {
          RequestType: 'Delete',
          ResponseURL: `http://127.0.0.1:9/?signature=${MARKER}`,
          StackId: 's',
          RequestId: 'r',
          LogicalResourceId: 'l',
        },
        createLambdaContext('test', 60_000),
      ),
    ),
    await thrownBy(async () => JSON.parse(`"${MARKER}`)),
    await thrownBy(async () => JSON.parse(`${MARKER}`)),
    await thrownBy(async () => new URL(`http://user:${password}@[`)),
    await thrownBy(() => fetch(`http://user:${password}@127.0.0.1:9/`)),
  ];
  for (const error of errors) {
    expect(JSON.stringify(factsOf(error))).not.toContain(MARKER);
    logger.error('as a handler logs it', { code: 'test', error });
  }
});

test('an event of another kind is one line, which says what is expected', async () => {
  const { handler } = await import('../../functions/consumers/persist-message.ts');
  for (const event of [{}, { Records: [{ body: MARKER }] }, MARKER, null]) {
    const error = await thrownBy(() => handler(event, createLambdaContext('persistMessage')));
    expect(error.message).toMatch(/^Not an event of Amazon MQ for RabbitMQ/);
    expect(error.message).not.toContain('\n');
    expect(printed(error)).not.toContain(MARKER);
  }
});
