import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { connect } from 'amqplib';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { createChatCommand } from '#lib/contracts/commands/create-chat.ts';
import { createMessageCommand } from '#lib/contracts/commands/create-message.ts';
import { updateApplicationCommand } from '#lib/contracts/commands/update-application.ts';
import { createRedisClient } from '#lib/redis/connection/client.ts';
import { createKeys } from '#lib/redis/script/keys.ts';
import { acceptingOn } from '../support/accepting.ts';
import { eventually, type System, startSystem, upTo } from '../support/own-system.ts';

let system: System;
let token: string;
let chatNumber: number;
let stopConsuming: (() => Promise<void>) | undefined;

const consumeAll = async () => {
  stopConsuming = await system.consume();
};
const stored = (count: number) =>
  eventually(async () => expect(await system.stored(token, chatNumber)).toEqual(upTo(count)));
const newest = async (): Promise<number[]> => {
  const { messages: page } = await system.services
    .conversation()
    .page({ token, chatNumber }, { skip: 0, count: 100 });
  return page.map(({ messageNumber }) => messageNumber).sort((one, other) => one - other);
};
const recovered = () =>
  eventually(async () => {
    expect(await system.invoke('recoverCounters')).toMatchObject({ gate: 'open' });
  });
/** Runs a recovery without consumers, which ends before its barriers arrive. @returns its report */
const recoverWithoutConsumers = () => system.invoke('recoverCounters', {}, 3_500);
const withRedis = async <Result>(work: (redis: Redis) => Promise<Result>): Promise<Result> => {
  const redis = new Redis(system.stack.urls.REDIS_URL, { maxRetriesPerRequest: 3 });
  redis.on('error', () => undefined);
  try {
    return await work(redis);
  } finally {
    redis.disconnect();
  }
};
/** Runs only the accepting step, like a handler that ended or was delayed before it published. */
const acceptOnly = async <Result>(
  work: (accepting: ReturnType<typeof acceptingOn>) => Promise<Result>,
): Promise<Result> => {
  const client = createRedisClient(system.stack.urls.REDIS_URL, {
    timeoutMs: 2_000,
    onError: () => undefined,
  });
  try {
    return await work(acceptingOn({ client, keys: createKeys() }));
  } finally {
    client.close();
  }
};
const message = (body: string) => ({
  token,
  chatNumber,
  senderId: system.userId,
  senderName: 'Ada',
  body,
  date: new Date().toISOString(),
});
/** @returns the body in MySQL under a number */
const bodyOf = async (messageNumber: number) => {
  const [row] = await system.services.messages().find([{ token, chatNumber, messageNumber }]);
  return row?.body;
};
const noDeadLetters = async () =>
  expect(JSON.stringify(await system.invoke('deadLetters'))).not.toContain('"id"');
const loseRedis = async () => {
  await system.service('redis').stop();
  await system.service('redis').wipe();
  await system.service('redis').start();
};
const restartRedis = async () => {
  await system.service('redis').kill('SIGKILL');
  await system.service('redis').stop();
  await system.service('redis').start();
};
/** Copies the data of Redis. @returns a function that restores the copy */
const copyRedis = async (): Promise<() => Promise<void>> => {
  const folder = system.service('redis').dataFolder ?? '';
  const copy = `${folder}.older`;
  await system.service('redis').stop();
  execFileSync('cp', ['-a', folder, copy]);
  await system.service('redis').start();
  return async () => {
    await system.service('redis').stop();
    await system.service('redis').wipe();
    execFileSync('cp', ['-a', `${copy}/.`, folder]);
    rmSync(copy, { recursive: true, force: true });
    await system.service('redis').start();
  };
};
const isOurProcess = () => system.service('redis').dataFolder !== undefined;
const edit = (messageNumber: number, body: string) =>
  system.accept.edit(token, chatNumber, messageNumber, body);
const refused = () =>
  eventually(() =>
    expect(system.accept.message(token, chatNumber)).rejects.toMatchObject({
      code: 'unavailable',
      retryAfterSeconds: 1,
      message: expect.stringContaining('numbers are being recovered'),
    }),
  );

beforeAll(async () => {
  system = await startSystem('faults-recovery', {
    only: ['mysql', 'redis', 'rabbitmq'],
  });
});

afterEach(async () => {
  await stopConsuming?.();
  stopConsuming = undefined;
});

afterAll(() => system?.stop());

const begin = async () => {
  token = await system.accept.application();
  chatNumber = await system.accept.chat(token);
};

describe('after Redis has lost everything', { timeout: 90_000 }, () => {
  test('numbers continue after those in the queues: confirmed writes survive', async () => {
    await begin();
    await system.accept.messages(token, chatNumber, 40);
    await loseRedis();
    await refused();
    // A 503 means that the item may exist. Stored items stay readable.
    await expect(system.accept.message('nosuchtoken', 1)).rejects.toMatchObject({ code: 'unavailable' });

    // No consumer takes the barriers, so the gate stays closed.
    expect(await recoverWithoutConsumers()).toEqual({ gate: 'closed', raised: 0 });
    await refused();

    await consumeAll();
    await eventually(async () => {
      const both = await Promise.all([system.invoke('recoverCounters'), system.invoke('recoverCounters')]);
      expect(both).toContainEqual(expect.objectContaining({ gate: 'open' }));
    });
    // The messages may still wait for their chat: their numbers are reserved, and a page read now is not kept as it is.
    await newest();
    expect(await system.accept.message(token, chatNumber)).toBe(41);
    expect(await system.accept.chat(token)).toBe(2);
    await expect(system.accept.message('nosuchtoken', 1)).rejects.toMatchObject({ code: 'not-found' });
    await stored(41);
    await eventually(async () => expect(await newest()).toEqual(upTo(41)));
  });

  test('a publish behind the barrier takes no number that another command has', async () => {
    await begin();
    await consumeAll();
    await system.accept.messages(token, chatNumber, 2);
    await stored(2);
    const late = await acceptOnly((accepting) => accepting.message(message('late')));
    expect(late.result).toBe(3);
    await loseRedis();
    await recovered();
    expect(await system.accept.message(token, chatNumber, 'acknowledged')).toBe(3);
    await stored(3);
    const publish = (headers: Record<string, number>) =>
      system.services
        .publisher()
        .publish([{ queue: 'create-message', content: late.command ?? '', headers }]);
    await publish({});
    expect(await system.accept.message(token, chatNumber, 'after it')).toBe(4);
    await stored(4);
    expect(await bodyOf(3)).toBe('acknowledged');
    await noDeadLetters();
  });

  test("between a write and its answer, the answer is 503, and its number is nobody's twice", async () => {
    await begin();
    system.service('rabbitmq').pause();
    const answers = upTo(3).map((n) =>
      system.accept.message(token, chatNumber, `unconfirmed ${n}`).then(
        () => ({ code: 'accepted', atMs: performance.now() }),
        ({ code }) => ({ code, atMs: performance.now() }),
      ),
    );
    try {
      const flushedAtMs = await withRedis(async (redis) => {
        const counter = createKeys().chatCounter(token, chatNumber);
        // Nearly without pauses: publishing waits only a second before a write is answered.
        await vi.waitFor(async () => expect(await redis.get(counter)).toBe('3'), {
          timeout: 20_000,
          interval: 1,
        });
        await redis.flushall();
        return performance.now();
      });
      const interrupted = (await Promise.all(answers)).filter(({ atMs }) => atMs > flushedAtMs);
      expect(interrupted.length).toBeGreaterThan(0);
      for (const { code } of interrupted) expect(code).toBe('unavailable');
    } finally {
      system.service('rabbitmq').resume();
    }
    await refused();
    await consumeAll();
    await recovered();
    const next = await system.accept.message(token, chatNumber, 'acknowledged');
    await stored(next);
    expect(await bodyOf(next)).toBe('acknowledged');
    await noDeadLetters();
  });

  test('a deferred command keeps its number', async () => {
    // Its chat waits in a queue that nobody takes.
    await begin();
    stopConsuming = await system.consume('create-application', 'create-message');
    expect(await system.accept.messages(token, chatNumber, 3)).toEqual(upTo(3));
    await eventually(async () => {
      const [row] = await system.services
        .database()
        .select('SELECT COUNT(*) AS reserved FROM reservations WHERE token = ?', [token]);
      expect(Number(row?.reserved)).toBe(3);
    });
    await loseRedis();
    await refused();
    await stopConsuming();
    await consumeAll();
    await recovered();
    expect(await system.accept.message(token, chatNumber)).toBe(4);
    await stored(4);
  });

  test('a deferred command is stored before the gate opens, because Redis shows it no longer', async () => {
    await begin();
    const stops = [await system.consume('create-application', 'create-message')];
    stopConsuming = async () => {
      for (const stop of stops) await stop();
    };
    expect(await system.accept.messages(token, chatNumber, 3)).toEqual(upTo(3));
    await loseRedis();
    await refused();
    const opened = recovered();
    // The messages are deferred behind the barrier, and only then their chat is stored.
    await eventually(async () => {
      const [queue] = await system.services
        .database()
        .select(
          "SELECT MAX(epoch) = (SELECT MAX(number) FROM epochs) AS passed FROM queues WHERE queue = 'create-message'",
          [],
        );
      expect(Number(queue?.passed)).toBe(1);
    });
    stops.push(await system.consume('create-chat', 'update-application', 'update-chat', 'update-message'));
    await eventually(async () =>
      expect(await system.services.gate().status()).toMatchObject({ isOpen: true }),
    );
    expect(await system.stored(token, chatNumber)).toEqual(upTo(3));
    await opened;
  });

  test('a refused write starts the recovery by itself', async () => {
    await begin();
    await consumeAll();
    await system.accept.message(token, chatNumber);
    await stored(1);
    await loseRedis();
    const stop = await system.consume('recover-counters');
    try {
      expect(await eventually(() => system.accept.message(token, chatNumber))).toBe(2);
    } finally {
      await stop();
    }
    await stored(2);
  });

  test('a dead command keeps its number', async () => {
    await begin();
    await consumeAll();
    await system.accept.messages(token, chatNumber, 2);
    await stored(2);
    await system.invoke('syncCounts');
    // A sender that MySQL does not know: dead at once, though it was accepted and numbered.
    const dead = await system.services.submit()(createMessageCommand, {
      token,
      chatNumber,
      senderId: 4_000_000_000,
      senderName: 'nobody',
      body: 'dead',
      createdAtMs: Date.now(),
    });
    expect(dead).toBe(3);
    await eventually(async () => {
      const report = await system.invoke('deadLetters', { queue: 'create-message' });
      expect(report).toMatchObject({ 'create-message': { held: 1 } });
    });
    await loseRedis();
    // Reading the letters meanwhile would hide their numbers, so the operation is refused.
    await refused();
    await expect(system.invoke('deadLetters')).rejects.toMatchObject({ code: 'unavailable' });
    await recovered();
    await system.invoke('syncCounts');
    const [row] = await system.services
      .database()
      .select('SELECT messages_count FROM chats WHERE token = ?', [token]);
    expect(row).toMatchObject({ messages_count: 3 });
    expect(await system.accept.message(token, chatNumber)).toBe(4);
    await system.invoke('deadLetters', { action: 'discard', queue: 'create-message' });
  });

  test('a dead command whose parent is dead keeps its number as well', async () => {
    token = await system.accept.application();
    await consumeAll();
    // MySQL does not know this user until an operator adds it.
    const stranger = 4_000_000_001;
    const { submit, database } = system.services;
    chatNumber = await submit()(createChatCommand, { token, creatorId: stranger });
    const write = () =>
      submit()(createMessageCommand, {
        token,
        chatNumber,
        senderId: stranger,
        senderName: 'Eve',
        body: 'dead',
        createdAtMs: Date.now(),
      });
    expect([await write(), await write()]).toEqual([1, 2]);
    await eventually(async () =>
      expect(await system.invoke('deadLetters')).toMatchObject({
        'create-chat': { held: 1 },
        'create-message': { held: 2 },
      }),
    );
    await loseRedis();
    await recovered();
    await database().write(
      "INSERT INTO users (id, name, email, password, created_at) VALUES (?, 'Eve', 'eve@example.org', '-', NOW(3))",
      [stranger],
    );
    await system.invoke('deadLetters', { action: 'redrive', queue: 'create-chat' });
    expect(await write()).toBe(3);
    await system.invoke('deadLetters', { action: 'redrive' });
    await stored(3);
    await system.invoke('syncCounts');
    const [row] = await database().select('SELECT chats_count FROM applications WHERE token = ?', [token]);
    expect(row).toMatchObject({ chats_count: 1 });
    expect(JSON.stringify(await system.invoke('deadLetters'))).not.toContain('"id"');
  });

  test('MySQL is down meanwhile, and Redis restarts in the middle of a recovery', async () => {
    await begin();
    await system.accept.messages(token, chatNumber, 5);
    await consumeAll();
    await stored(5);
    await system.service('mysql').stop();
    try {
      await loseRedis();
      await expect(system.invoke('recoverCounters', {}, 20_000)).rejects.toMatchObject({
        code: 'unavailable',
      });
      await refused();
    } finally {
      await system.service('mysql').start();
    }
    await stopConsuming?.();
    stopConsuming = undefined;
    const half = system.invoke('recoverCounters', {}, 30_000).catch((error: unknown) => error);
    // It waits for its barriers.
    await eventually(async () =>
      expect((await system.services.publisher().depth('create-application')).ready).toBeGreaterThan(0),
    );
    await restartRedis();
    await consumeAll();
    expect(await half).not.toMatchObject({ gate: 'open' });
    await refused();
    await recovered();
    expect(await system.accept.message(token, chatNumber)).toBe(6);
    await stored(6);
  });
});

test('a restart without loss continues with the next number', { timeout: 60_000 }, async () => {
  await begin();
  await system.accept.messages(token, chatNumber, 20);
  await restartRedis();
  await refused();
  await consumeAll();
  await recovered();
  expect(await system.accept.message(token, chatNumber)).toBe(21);
  await stored(21);
  expect(await newest()).toEqual(upTo(21));
});

test('an older copy of Redis gives no number twice and shows nothing stale', {
  timeout: 90_000,
}, async ({ skip }) => {
  skip(!isOurProcess(), 'the server is not a process of ours');
  await begin();
  await consumeAll();
  await system.accept.messages(token, chatNumber, 3);
  await stored(3);
  expect(await newest()).toEqual(upTo(3));
  // The copy is taken with a rename and a message still on their way.
  await stopConsuming?.();
  const rename = (name: string) =>
    system.services.submit()(updateApplicationCommand, { token, name, callerId: system.userId });
  await rename('older');
  await system.accept.message(token, chatNumber, 'four');
  const goBack = await copyRedis();
  await consumeAll();
  await recovered();
  await system.accept.messages(token, chatNumber, 5);
  await rename('newest');
  await edit(1, 'edited since');
  await edit(4, 'edited since');
  expect(await system.accept.chat(token)).toBe(2);
  await stored(9);

  await goBack();

  await refused();
  // The copy has this one still on its way, as it was before its edit.
  const four = () => system.services.conversation().message({ token, chatNumber }, 4);
  expect((await four()).body).toBe('edited since');
  await recovered();
  expect((await four()).body).toBe('edited since');
  expect(await newest()).toEqual(upTo(9));
  const { messages: page } = await system.services
    .conversation()
    .page({ token, chatNumber }, { skip: 0, count: 100 });
  expect(page.find(({ messageNumber }) => messageNumber === 1)?.body).toBe('edited since');
  expect(await system.services.applicationDirectory().get(token)).toMatchObject({ name: 'newest' });
  expect(await system.accept.message(token, chatNumber)).toBe(10);
  expect(await system.accept.chat(token)).toBe(3);
  // The commands in the older copy's outbox were stored long ago, so relaying them changes nothing.
  await system.invoke('relayOutbox', { olderThanSeconds: 0 }, 10_000);
  await stored(10);
  await eventually(async () => {
    const { 'index-message': _unindexed, ...depths } = await system.depths();
    expect(Object.values(depths).every((depth) => depth === 0)).toBe(true);
  });
  expect(await system.services.applicationDirectory().get(token)).toMatchObject({ name: 'newest' });
  await system.invoke('syncCounts');
  const [row] = await system.services
    .database()
    .select('SELECT chats_count, name FROM applications WHERE token = ?', [token]);
  expect(row).toMatchObject({ chats_count: 3, name: 'newest' });
  const report = await system.invoke('deadLetters', {});
  expect(JSON.stringify(report)).not.toContain('"id"');
});

test('a broker that lost the barriers does not block the recovery', { timeout: 60_000 }, async () => {
  await begin();
  await consumeAll();
  // Nothing else may be lost with the queue: MySQL has it.
  await system.accept.message(token, chatNumber);
  await stored(1);
  await stopConsuming?.();
  await loseRedis();
  await refused();
  const recovery = system.invoke('recoverCounters');
  const { publisher } = system.services;
  await eventually(async () => expect((await publisher().depth('create-application')).ready).toBe(1));
  const connection = await connect(system.stack.urls.RABBITMQ_URL);
  try {
    const channel = await connection.createChannel();
    await channel.purgeQueue('create-application');
  } finally {
    await connection.close();
  }
  await consumeAll();
  expect(await recovery).toMatchObject({ gate: 'open' });
});

test('a command whose parent is only in an older copy of Redis keeps its number', {
  timeout: 90_000,
}, async ({ skip }) => {
  skip(!isOurProcess(), 'the server is not a process of ours');
  token = await system.accept.application();
  // A function that ended between the number and the publish.
  const { result } = await acceptOnly((accepting) => accepting.chat({ token, creatorId: system.userId }));
  chatNumber = result;
  const goBack = await copyRedis();
  await consumeAll();
  await recovered();
  expect(await system.accept.messages(token, chatNumber, 3)).toEqual(upTo(3));
  await goBack();
  await refused();
  await recovered();
  expect(await system.accept.message(token, chatNumber)).toBe(4);
  // The relay brings the chat, for which its messages wait.
  await eventually(() => system.invoke('relayOutbox', { olderThanSeconds: 0 }, 10_000));
  await stored(4);
  await noDeadLetters();
});

test('a copy that is older by one command is found to be older', { timeout: 90_000 }, async ({ skip }) => {
  skip(!isOurProcess(), 'the server is not a process of ours');
  await begin();
  await consumeAll();
  await system.accept.messages(token, chatNumber, 2);
  await stored(2);
  const goBack = await copyRedis();
  await recovered();
  expect(await system.accept.message(token, chatNumber)).toBe(3);
  await stored(3);
  await goBack();
  await refused();
  await recovered();
  expect(await system.accept.message(token, chatNumber)).toBe(4);
  expect(await newest()).toEqual(upTo(4));
  await stored(4);
  await noDeadLetters();
});

test('a server that was replaced under a connection takes no write for the one before, there and back', {
  timeout: 60_000,
}, async () => {
  await begin();
  await consumeAll();
  const client = createRedisClient(system.stack.urls.REDIS_URL, {
    timeoutMs: 4_000,
    onError: () => undefined,
  });
  try {
    const before = await client.connection();
    await restartRedis();
    await eventually(async () => expect((await client.connection()).server).not.toBe(before.server));
    expect(before.isOpen).toBe(false);
    const accepting = acceptingOn({ client, keys: createKeys() });
    await expect(accepting.message(message('between'))).rejects.toMatchObject({ message: 'closed' });
    // The gate that is open for the earlier run opens nothing here.
    await withRedis(async (redis) =>
      expect(await redis.hexists(createKeys().state, `run:${before.server}`)).toBe(1),
    );
    await recovered();
    await withRedis(async (redis) =>
      expect(await redis.hexists(createKeys().state, `run:${before.server}`)).toBe(0),
    );
    expect((await accepting.message(message('after'))).result).toBe(1);
  } finally {
    client.close();
  }
});

test('an edit in its queue is shown as soon as writes are accepted again', { timeout: 60_000 }, async () => {
  await begin();
  await consumeAll();
  await system.accept.message(token, chatNumber);
  await stored(1);
  await stopConsuming?.();
  await edit(1, 'edited');
  await loseRedis();
  stopConsuming = await system.consume(
    'create-application',
    'update-application',
    'create-chat',
    'update-chat',
    'create-message',
  );
  await refused();
  expect(await recoverWithoutConsumers()).toMatchObject({ gate: 'closed' });
  await stopConsuming();
  await consumeAll();
  await recovered();
  const {
    messages: [message],
  } = await system.services.conversation().page({ token, chatNumber }, { skip: 0, count: 1 });
  expect(message?.body).toBe('edited');
});
