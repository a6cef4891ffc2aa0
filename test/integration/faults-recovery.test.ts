import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { connect } from 'amqplib';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { createAcceptor } from '#lib/redis/acceptor.ts';
import { createKeys } from '#lib/redis/keys.ts';
import { eventually, type System, startSystem, upTo } from '../support/own-system.ts';

const atOnce = { graceSeconds: 0 };

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
  const page = await system.services.conversation().page({ token, chatNumber }, { skip: 0, count: 100 });
  return page.map(({ messageNumber }) => messageNumber).sort((one, other) => one - other);
};
const recovered = (timeoutMs?: number) =>
  eventually(async () => {
    expect(await system.invoke('recoverCounters', atOnce, timeoutMs)).toMatchObject({ gate: 'open' });
  });
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
/** @returns brings Redis back to what it holds now */
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
  system.services
    .acceptance()
    .messageUpdate(
      { token, chatNumber, messageNumber, body, date: new Date().toISOString() },
      system.userId,
      system.userId,
    );
const refused = () =>
  eventually(() =>
    expect(system.accept.message(token, chatNumber)).rejects.toMatchObject({
      code: 'unavailable',
      retryAfterSeconds: 5,
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
  test('numbers go on behind those in the queues and in a handler that was still publishing', async () => {
    await begin();
    await system.accept.messages(token, chatNumber, 40);
    // Accepted, answered, and published only when the broker goes on.
    system.service('rabbitmq').pause();
    try {
      expect(await system.accept.messages(token, chatNumber, 10)).toHaveLength(10);
      await loseRedis();
    } finally {
      system.service('rabbitmq').resume();
    }
    await refused();
    // Unknown is told from not known yet; what MySQL has is read as ever.
    await expect(system.accept.message('nosuchtoken', 1)).rejects.toMatchObject({ code: 'unavailable' });

    // Nobody takes the barrier: the gate stays closed, and nothing was raised.
    expect(await system.invoke('recoverCounters', atOnce, 3_500)).toEqual({ gate: 'closed', raised: 0 });
    await refused();

    await consumeAll();
    const both = await Promise.all([
      system.invoke('recoverCounters', atOnce),
      system.invoke('recoverCounters', atOnce),
    ]);
    expect(both).toEqual([
      expect.objectContaining({ gate: 'open' }),
      expect.objectContaining({ gate: 'open' }),
    ]);
    expect(await system.stored(token, chatNumber)).toEqual(upTo(50));
    expect(await newest()).toEqual(upTo(50));
    expect(await system.accept.message(token, chatNumber)).toBe(51);
    expect(await system.accept.chat(token)).toBe(2);
    await expect(system.accept.message('nosuchtoken', 1)).rejects.toMatchObject({ code: 'not-found' });
    await stored(51);
  });

  test('what was set aside keeps its number', async () => {
    await begin();
    await consumeAll();
    await system.accept.messages(token, chatNumber, 2);
    await stored(2);
    await system.invoke('syncCounts');
    // A sender that MySQL does not know: dead at once, though it was accepted and numbered.
    const dead = await system.services.acceptance().message(
      {
        token,
        chatNumber,
        senderId: 4_000_000_000,
        senderName: 'nobody',
        body: 'dead',
        date: new Date().toISOString(),
      },
      { callerId: 4_000_000_000, target: 'test' },
    );
    expect(dead).toBe(3);
    await eventually(async () => {
      const report = await system.invoke('deadLetters', { queue: 'create-message' });
      expect(report).toMatchObject({ 'create-message': { held: 1 } });
    });
    await loseRedis();
    // Whoever looks at them meanwhile would hide their numbers.
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

  test('what was set aside with its parent keeps its number as well', async () => {
    token = await system.accept.application();
    await consumeAll();
    // Unknown to MySQL until an operator has mended it.
    const stranger = 4_000_000_001;
    const { acceptance, database } = system.services;
    const date = new Date().toISOString();
    chatNumber = await acceptance().chat(
      { token, creatorId: stranger, date },
      { callerId: stranger, target: 'test' },
    );
    const write = () =>
      acceptance().message(
        { token, chatNumber, senderId: stranger, senderName: 'Eve', body: 'dead', date },
        { callerId: stranger, target: 'test' },
      );
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
      // Nothing is in the queues, so that only the last step finds MySQL missing.
      await expect(system.invoke('recoverCounters', atOnce, 20_000)).rejects.toMatchObject({
        code: 'unavailable',
      });
      await refused();
    } finally {
      await system.service('mysql').start();
    }
    await stopConsuming?.();
    stopConsuming = undefined;
    const half = system.invoke('recoverCounters', atOnce, 30_000).catch((error: unknown) => error);
    // It waits for its barrier.
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

test('a clock that is set back after the gate has closed does not keep it closed', {
  timeout: 60_000,
}, async () => {
  await consumeAll();
  await restartRedis();
  await refused();
  const { redis } = await system.services.redisClient().connection();
  const { state } = createKeys();
  const [field = ''] = (await redis.hkeys(state)).filter((name) => name.startsWith('closedAt:'));
  await redis.hset(state, field, (Date.now() + 3_600_000) * 1000);
  expect(await system.invoke('recoverCounters', { graceSeconds: 1 }, 20_000)).toMatchObject({ gate: 'open' });
});

test('a restart without loss goes on where it was', { timeout: 60_000 }, async () => {
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
    system.services
      .acceptance()
      .applicationUpdate({ token, name, date: new Date().toISOString() }, system.userId, system.userId);
  await rename('older');
  await system.accept.message(token, chatNumber, 'four');
  const goBack = await copyRedis();
  await consumeAll();
  await recovered();
  await system.accept.messages(token, chatNumber, 5);
  await rename('newest');
  expect(await edit(1, 'edited since')).toBe(true);
  expect(await edit(4, 'edited since')).toBe(true);
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
  const page = await system.services.conversation().page({ token, chatNumber }, { skip: 0, count: 100 });
  expect(page.find(({ messageNumber }) => messageNumber === 1)?.body).toBe('edited since');
  expect(await system.services.applicationDirectory().get(token)).toMatchObject({ name: 'newest' });
  expect(await system.accept.message(token, chatNumber)).toBe(10);
  expect(await system.accept.chat(token)).toBe(3);
  // What the older copy's outbox holds was done long ago: relayed, it changes nothing.
  await system.invoke('relayOutbox', { olderThanSeconds: 0, againAfterSeconds: 0 }, 10_000);
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

test('a broker that lost what the recovery waits for does not hold it up', { timeout: 60_000 }, async () => {
  await begin();
  await consumeAll();
  // Nothing else may be lost with the queue: MySQL has it.
  await system.accept.message(token, chatNumber);
  await stored(1);
  await stopConsuming?.();
  await loseRedis();
  await refused();
  const recovery = system.invoke('recoverCounters', atOnce);
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

test('what waits for a parent that only an older copy of Redis holds keeps its numbers', {
  timeout: 90_000,
}, async ({ skip }) => {
  skip(!isOurProcess(), 'the server is not a process of ours');
  token = await system.accept.application();
  // A function that ended between the number and the publish.
  const client = system.services.redisClient();
  const { result } = await createAcceptor({ client, keys: createKeys() }).chat(
    { token, creatorId: system.userId, date: new Date().toISOString() },
    { callerId: system.userId, target: 'chats' },
  );
  chatNumber = result;
  const goBack = await copyRedis();
  const counters = system.services.counters();
  const gate = await eventually(() => counters.gate());
  await counters.openGate(gate.open ? '' : gate.run);
  expect(await system.accept.messages(token, chatNumber, 3)).toEqual(upTo(3));
  await goBack();
  await refused();
  await consumeAll();
  await recovered();
  expect(await system.accept.message(token, chatNumber)).toBe(4);
  await stored(4);
});

test('an edit in its queue is shown as soon as writes are taken again', { timeout: 60_000 }, async () => {
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
    'create-message',
  );
  await refused();
  expect(await system.invoke('recoverCounters', atOnce, 4_000)).toMatchObject({ gate: 'closed' });
  await stopConsuming();
  await consumeAll();
  await recovered();
  const [message] = await system.services.conversation().page({ token, chatNumber }, { skip: 0, count: 1 });
  expect(message?.body).toBe('edited');
});
