import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { connect } from 'amqplib';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createMessageCommand } from '#lib/contracts/commands/create-message.ts';
import { createKeys } from '#lib/redis/script/keys.ts';
import { eventually, type System, startSystem, upTo } from '../support/own-system.ts';

/*
 * Any program on the broker may publish anything. Messages that only look like commands of this API must not lose, renumber or
 * delay what this API has accepted.
 */

type Message = {
  content: unknown;
  messageId?: string;
  expiration?: string;
  headers?: Record<string, unknown>;
};
type Letter = { id: string; reason: string };

const queues = [
  'create-application',
  'update-application',
  'create-chat',
  'update-chat',
  'create-message',
  'update-message',
];
const DAY_MICROS = 24 * 60 * 60 * 1_000_000;
const nowMicros = () => Date.now() * 1000;
const date = '2026-01-01T00:00:00.000Z';

let system: System;
let token: string;
let chatNumber: number;
let stopConsuming: (() => Promise<void>) | undefined;

const consumeAll = async () => {
  stopConsuming = await system.consume();
};
const publish = async (queue: string, ...messages: Message[]) => {
  const connection = await connect(system.stack.urls.RABBITMQ_URL);
  try {
    const channel = await connection.createConfirmChannel();
    for (const { content, ...options } of messages) {
      const bytes = Buffer.isBuffer(content) ? content : Buffer.from(JSON.stringify(content));
      channel.sendToQueue(queue, bytes, { persistent: true, ...options });
    }
    await channel.waitForConfirms();
  } finally {
    await connection.close();
  }
};
const letters = async (queue: string): Promise<Letter[]> => {
  const report = await system.invoke('deadLetters', { action: 'list', queue, limit: 10_000 });
  return (report as Record<string, { letters: Letter[] }>)[queue]?.letters ?? [];
};
const reasons = async (queue: string): Promise<Record<string, number>> => {
  const report = await system.invoke('deadLetters', { action: 'list', queue, limit: 10_000 });
  return (report as Record<string, { reasons: Record<string, number> }>)[queue]?.reasons ?? {};
};
const discardAll = async () => {
  for (const queue of [...queues, 'index-message']) {
    await system.invoke('deadLetters', { action: 'discard', queue, limit: 10_000 });
  }
};
const stored = (count: number) =>
  eventually(async () => expect(await system.stored(token, chatNumber)).toEqual(upTo(count)));
const recovered = () =>
  eventually(async () => expect(await system.invoke('recoverCounters')).toMatchObject({ gate: 'open' }));
const restartRedis = async () => {
  await system.service('redis').kill('SIGKILL');
  await system.service('redis').stop();
  await system.service('redis').start();
};
const redis = async () => (await import('#lib/runtime/services/servers.ts')).redisClient().connection();
const select = (sql: string, values: (string | number)[] = []) =>
  system.services.database().select(sql, values);
const depthOf = async (queue: string) => (await system.depths())[queue];
const begin = async () => {
  token = await system.accept.application();
  chatNumber = await system.accept.chat(token);
};
const newestEpoch = async () => Number((await select('SELECT MAX(number) AS newest FROM epochs'))[0]?.newest);
const commandOf = (queue: string): Record<string, unknown> => {
  const place = { token, chatNumber, messageNumber: 1 };
  const creatorId = system.userId;
  switch (queue) {
    case 'create-application':
      return { token: randomBytes(8).toString('hex'), name: 'forged', creatorId, date };
    case 'update-application':
      return { token, name: 'forged', date };
    case 'create-chat':
      return { token, chatNumber: 99, creatorId, title: 'forged', date };
    case 'update-chat':
      return { token, chatNumber, title: 'forged', date };
    case 'create-message':
      return { ...place, messageNumber: 99, senderId: creatorId, body: 'forged', date };
    default:
      return { ...place, body: 'forged', date };
  }
};

beforeAll(async () => {
  system = await startSystem('faults-forged', { only: ['mysql', 'redis', 'rabbitmq'] });
});
beforeEach(begin);
afterEach(async () => {
  if (stopConsuming === undefined) await consumeAll();
  await discardAll();
  await stopConsuming?.();
  stopConsuming = undefined;
});
afterAll(() => system?.stop());

describe('an id or an epoch that no command of this API can have', { timeout: 90_000 }, () => {
  const forged = async (): Promise<[string, Record<string, unknown>][]> => [
    ['the largest of both', { commandId: Number.MAX_SAFE_INTEGER, epoch: 1_000_000_000 }],
    ['an epoch to come', { commandId: nowMicros(), epoch: (await newestEpoch()) + 1 }],
    ['an id two days ahead', { commandId: nowMicros() + 2 * DAY_MICROS, epoch: 1 }],
    ['an id two days ahead, without an epoch', { commandId: nowMicros() + 2 * DAY_MICROS }],
    ['a negative epoch', { commandId: 1, epoch: -1 }],
    ['an epoch of zero', { commandId: 1, epoch: 0 }],
    ['a fraction', { commandId: 1.5, epoch: 1 }],
    ['strings', { commandId: '17', epoch: '1' }],
    ['an epoch alone', { epoch: 1 }],
    ['more than numbers hold', { commandId: 1e300, epoch: 1e300 }],
  ];

  test('is a dead letter in every queue, also in a malformed message, and writes go on after a restart', async () => {
    await consumeAll();
    await system.accept.message(token, chatNumber);
    await stored(1);
    const kinds = await forged();
    for (const queue of queues) {
      const whole = kinds.map(([, more]) => ({ content: { ...commandOf(queue), ...more } }));
      const broken = kinds.map(([, more]) => ({ content: { token, chatNumber, messageNumber: 7, ...more } }));
      await publish(queue, ...whole, ...broken);
    }
    for (const queue of queues) {
      await eventually(async () => {
        const found = await reasons(queue);
        expect(Object.keys(found).every((reason) => reason.startsWith('malformed: '))).toBe(true);
        expect(Object.values(found).reduce((sum, count) => sum + count, 0)).toBe(2 * kinds.length);
      });
    }
    const rows = await select('SELECT MAX(highest_id) AS highest FROM queues');
    expect(Number(rows[0]?.highest)).toBeLessThanOrEqual(nowMicros());
    await restartRedis();
    await recovered();
    expect(await system.accept.messages(token, chatNumber, 3)).toHaveLength(3);
    await system.accept.edit(token, chatNumber, 1, 'edited');
    await stored(4);
    await eventually(async () =>
      expect(await select('SELECT body FROM messages WHERE token = ? AND number = 1', [token])).toMatchObject(
        [{ body: 'edited' }],
      ),
    );
  });

  test('in a barrier is a dead letter, and neither drops commands nor delays them', async () => {
    await consumeAll();
    for (const queue of queues) {
      await publish(
        queue,
        { content: { barrier: { id: 'x', epoch: Number.MAX_SAFE_INTEGER } } },
        { content: { barrier: { id: 'x', epoch: (await newestEpoch()) + 1 } } },
        { content: { barrier: { id: 'x', epoch: 1, more: true } } },
        { content: { barrier: { id: 'x', epoch: 1 }, token } },
        { content: { barrier: { id: 'x', epoch: '1' } } },
        { content: { barrier: [1] } },
      );
    }
    for (const queue of queues) {
      await eventually(async () => expect(await letters(queue)).toHaveLength(6));
    }
    expect(await system.accept.message(token, chatNumber)).toBe(1);
    await stored(1);
    const rows = await select('SELECT MAX(epoch) AS passed FROM queues');
    expect(Number(rows[0]?.passed)).toBeLessThanOrEqual(await newestEpoch());
  });

  test('in MySQL stops a recovery, which names the queue; it opens once the id is corrected', async () => {
    await consumeAll();
    await system.accept.message(token, chatNumber);
    await stored(1);
    await select("UPDATE queues SET highest_id = 9007199254740991 WHERE queue = 'update-message'");
    await restartRedis();
    expect(await system.invoke('recoverCounters', {}, 20_000)).toEqual({ gate: 'closed', raised: 0 });
    await expect(system.accept.message(token, chatNumber)).rejects.toMatchObject({ code: 'unavailable' });
    await select(
      'UPDATE queues SET highest_id = UNIX_TIMESTAMP() * 1000000 WHERE highest_id > UNIX_TIMESTAMP() * 1000000',
    );
    await recovered();
    expect(await system.accept.message(token, chatNumber)).toBe(2);
    await stored(2);
  });
});

describe('a message with the id of a pending command', { timeout: 60_000 }, () => {
  test.each<[string, (id: number, epoch: number) => object | Buffer]>([
    ['that is malformed', () => Buffer.from('not JSON')],
    ['that is malformed and has its id and epoch', (commandId, epoch) => ({ commandId, epoch, token })],
    ['of another program', (commandId) => ({ ...commandOf('create-message'), commandId })],
    [
      'of another program, at its place',
      (commandId) => ({
        ...commandOf('create-message'),
        messageNumber: 1,
        commandId,
        senderId: 4_000_000_000,
      }),
    ],
    [
      'with its epoch and another text',
      (commandId, epoch) => ({ ...commandOf('create-message'), commandId, epoch }),
    ],
    [
      'with its epoch, of nobody',
      (commandId, epoch) => ({ ...commandOf('create-message'), commandId, epoch, senderId: 4_000_000_000 }),
    ],
  ])('%s leaves it in its outbox until it is stored', async (_what, forge) => {
    stopConsuming = await system.consume('create-application', 'create-chat');
    expect(await system.accept.message(token, chatNumber, 'ours')).toBe(1);
    const [pending] = await system.services
      .outbox()
      .commands('create-message', { after: 0, olderThan: 9e15, count: 10 });
    const { commandId, epoch } = JSON.parse(pending?.command ?? '');
    // The broker loses ours, so that only the forged message arrives.
    const connection = await connect(system.stack.urls.RABBITMQ_URL);
    const channel = await connection.createChannel();
    await channel.purgeQueue('create-message');
    await connection.close();
    await publish('create-message', { content: forge(commandId, epoch), messageId: String(commandId) });
    await stopConsuming();
    await consumeAll();
    await eventually(async () => {
      const { ready, retry } = await system.services.publisher().depth('create-message');
      const dead = (await letters('create-message')).length;
      const rows = await select('SELECT body FROM messages WHERE token = ?', [token]);
      expect({ ready, retry, handled: dead + rows.length }).toEqual({ ready: 0, retry: 0, handled: 1 });
    });
    expect(await depthOf('create-message')).toBe(1);
    expect((await system.services.conversation().message({ token, chatNumber }, 1)).body).toBe('ours');
    await eventually(() => system.invoke('relayOutbox', { olderThanSeconds: 0 }, 10_000));
    await eventually(async () => expect(await depthOf('create-message')).toBe(0));
    const [row] = await select('SELECT body FROM messages WHERE token = ? AND number = 1', [token]);
    expect(row?.body).toBe('ours');
  });
});

describe('commands of other programs', { timeout: 90_000 }, () => {
  const foreignToken = () => randomBytes(12).toString('base64url');
  const publishAll = async (of: string, messages: number) => {
    await publish('create-application', {
      content: { token: of, name: 'n', creatorId: system.userId, date },
    });
    await publish('create-chat', { content: { token: of, chatNumber: 1, creatorId: system.userId, date } });
    await publish(
      'create-message',
      ...upTo(messages).map((messageNumber) => ({
        content: { token: of, chatNumber: 1, messageNumber, senderId: system.userId, body: 'b', date },
      })),
    );
    await eventually(async () => expect(await system.stored(of, 1)).toEqual(upTo(messages)));
  };
  const flush = async () => (await redis()).redis.flushall();

  test('are known again after Redis has lost everything', async () => {
    await consumeAll();
    const of = foreignToken();
    await publishAll(of, 3);
    await flush();
    await recovered();
    expect(await system.accept.message(of, 1)).toBe(4);
    expect(await system.accept.chat(of)).toBe(2);
  });

  test('are known to an older copy of Redis, and a restart without loss is no loss', async ({ skip }) => {
    const folder = system.service('redis').dataFolder ?? '';
    skip(folder === '', 'the server is not a process of ours');
    await consumeAll();
    const of = foreignToken();
    await publishAll(of, 2);
    const clock = async () => Number(await (await redis()).redis.hget(createKeys().state, 'clock'));
    const witness = async () => Number((await select('SELECT MAX(highest_id) AS id FROM queues'))[0]?.id);
    // A batch that Redis interrupts would be handled again while the gate is closed, which counts as a loss.
    await stopConsuming?.();
    expect(await clock()).toBeGreaterThanOrEqual(await witness());
    const lost = async () => (await redis()).redis.hget(createKeys().state, 'lost');
    const lostBefore = await lost();
    await system.service('redis').stop();
    execFileSync('cp', ['-a', folder, `${folder}.older`]);
    await system.service('redis').start();
    await consumeAll();
    await recovered();
    expect(await lost()).toBe(lostBefore);
    await publishAll(of, 3);
    await eventually(async () => expect(await clock()).toBeGreaterThanOrEqual(await witness()));
    await system.service('redis').stop();
    await system.service('redis').wipe();
    execFileSync('cp', ['-a', `${folder}.older/.`, folder]);
    rmSync(`${folder}.older`, { recursive: true, force: true });
    await system.service('redis').start();
    await recovered();
    expect(await system.accept.message(of, 1)).toBe(4);
  });

  test('alone, in a system that never accepted a write, are a loss as well', async () => {
    await consumeAll();
    const of = foreignToken();
    await publishAll(of, 2);
    await select('DELETE FROM queues');
    await flush();
    await recovered();
    expect(await system.accept.message(of, 1)).toBe(3);
  });

  test.each([
    ['a chat', 'create-chat', () => ({ ...commandOf('create-chat'), chatNumber: 4_294_967_294 })],
    ['a message', 'create-message', () => ({ ...commandOf('create-message'), messageNumber: 4_294_967_294 })],
    [
      'a chat a million and one above',
      'create-chat',
      () => ({ ...commandOf('create-chat'), chatNumber: 1_000_002 }),
    ],
    [
      'a message of this epoch',
      'create-message',
      (epoch: number) => ({
        ...commandOf('create-message'),
        messageNumber: 4_294_967_294,
        commandId: nowMicros(),
        epoch,
        senderId: 4_000_000_000,
      }),
    ],
    [
      'a malformed message of this epoch',
      'create-message',
      (epoch: number) => ({
        token,
        chatNumber: 4_294_967_294,
        messageNumber: 1,
        commandId: nowMicros(),
        epoch,
      }),
    ],
  ])('do not use up the numbers: %s', async (_what, queue, forge) => {
    await consumeAll();
    await system.accept.message(token, chatNumber);
    await stored(1);
    await publish(queue, { content: forge(await newestEpoch()) });
    await eventually(async () => expect(await letters(queue)).toHaveLength(1));
    expect(Object.keys(await reasons(queue))[0]).toMatch(/^malformed/);
    await flush();
    await recovered();
    expect(await system.accept.message(token, chatNumber)).toBe(2);
    expect(await system.accept.chat(token)).toBe(2);
    await stored(2);
  });

  test('a million above the counter are stored', async () => {
    await consumeAll();
    await stored(0);
    const messageNumber = 1_000_000;
    await publish('create-message', { content: { ...commandOf('create-message'), messageNumber } });
    await eventually(async () => expect(await system.stored(token, chatNumber)).toEqual([messageNumber]));
    await publish('create-message', {
      content: { ...commandOf('create-message'), messageNumber: 2_000_000 },
    });
    await eventually(async () =>
      expect(await system.stored(token, chatNumber)).toEqual([messageNumber, 2_000_000]),
    );
    expect(await system.accept.message(token, chatNumber)).toBe(2_000_001);
  });

  test('that expire are dead letters with the reason of the broker', async () => {
    stopConsuming = await system.consume('create-application', 'create-chat');
    const commands = upTo(300).map((messageNumber) => ({
      content: { ...commandOf('create-message'), messageNumber },
      expiration: '1',
      // A reason that the broker did not give.
      headers: { 'x-death': [{ reason: 'because I say so', queue: 'create-message' }] },
    }));
    await publish('create-message', ...commands);
    await eventually(async () => expect(await reasons('create-message')).toEqual({ expired: 300 }));
    await publish('create-message.dead', {
      content: { token },
      headers: { 'x-death': [{ reason: { forged: true } }, 7] },
    });
    await eventually(async () =>
      expect(await reasons('create-message')).toEqual({ expired: 300, 'no reason given': 1 }),
    );
    await discardAll();
    expect(await reasons('create-message')).toEqual({});
  });
});

describe('a junk dead letter with the id of a genuine one', { timeout: 60_000 }, () => {
  test('goes alone: the bare id is refused, and the number of the genuine one stays reserved', async () => {
    await consumeAll();
    await system.accept.message(token, chatNumber);
    await stored(1);
    const dead = await system.services.submit()(createMessageCommand, {
      token,
      chatNumber,
      senderId: 4_000_000_000,
      senderName: 'nobody',
      body: 'genuine',
      createdAtMs: Date.now(),
    });
    expect(dead).toBe(2);
    const [genuine] = await eventually(async () => {
      const found = await letters('create-message');
      expect(found).toHaveLength(1);
      return found;
    });
    const [bare = '', digest] = genuine?.id.split('.') ?? [];
    expect(digest).toMatch(/^[0-9a-f]{8}$/);
    const row = await select('SELECT command_id FROM reservations WHERE token = ?', [token]);
    const epoch = await newestEpoch();
    const junk = { content: { ...commandOf('create-message'), junk: true }, messageId: bare };
    const copy = { content: { token, commandId: Number(bare), epoch }, messageId: 'another' };
    await publish('create-message.dead', junk, copy);
    const all = await eventually(async () => {
      const found = await letters('create-message');
      expect(found).toHaveLength(3);
      return found;
    });
    const select1 = (ids: string[], action = 'discard') =>
      system.invoke('deadLetters', { action, queue: 'create-message', ids });
    for (const action of ['list', 'show', 'redrive', 'discard']) {
      await expect(select1([bare], action)).rejects.toMatchObject({
        code: 'bad-input',
        message: expect.stringContaining(genuine?.id ?? ''),
      });
    }
    await eventually(async () => expect(await letters('create-message')).toHaveLength(3));
    const others = all.filter(({ id }) => id !== genuine?.id).map(({ id }) => id);
    expect(await select1(others)).toMatchObject({ 'create-message': { acted: 2 } });
    await eventually(async () => expect(await letters('create-message')).toEqual([genuine]));
    expect(await select('SELECT command_id FROM reservations WHERE token = ?', [token])).toEqual(row);
    // The bare id fits one letter again.
    expect(await select1([bare])).toMatchObject({ 'create-message': { acted: 1 } });
    expect(await select('SELECT command_id FROM reservations WHERE token = ?', [token])).toEqual([]);
  });
});

describe('health', { timeout: 60_000 }, () => {
  const tryNumbering = () => system.services.gate().tryNumbering(queues);

  test('tries the numbering without a number or a write', async () => {
    const { redis: connection } = await redis();
    const keys = createKeys();
    const dump = async () => {
      const names = (await connection.keys('*')).filter((name) => !name.includes('recovery-asked')).sort();
      return Promise.all(
        names.map(async (name) => [name, (await connection.dumpBuffer(name))?.toString('hex')]),
      );
    };
    stopConsuming = async () => undefined;
    const before = await dump();
    expect(await tryNumbering()).toBe('open');
    expect(await dump()).toEqual(before);
    const clock = (await connection.hget(keys.state, 'clock')) ?? '';
    await connection.hset(keys.state, 'clock', '9007199254740991');
    expect(await tryNumbering()).toBe('ahead');
    // No id may be given that consumers would refuse.
    await expect(system.accept.message(token, chatNumber)).rejects.toMatchObject({ code: 'unavailable' });
    await connection.hset(keys.state, 'clock', clock);
    await connection.xadd(keys.outbox('update-message'), '9007199254740991-0', 'c', '{}');
    await connection.xdel(keys.outbox('update-message'), '9007199254740991-0');
    expect(await tryNumbering()).toBe('ahead');
    await connection.del(keys.outbox('update-message'));
    await connection.config('SET', 'maxmemory', '1');
    await expect(tryNumbering()).rejects.toMatchObject({ code: 'unavailable' });
    await connection.config('SET', 'maxmemory', '0');
    await connection.rename(keys.outbox('create-chat'), 'elsewhere');
    await connection.set(keys.outbox('create-chat'), 'a string');
    await expect(tryNumbering()).rejects.toThrow('WRONGTYPE');
    await connection.rename('elsewhere', keys.outbox('create-chat'));
    expect(await tryNumbering()).toBe('open');
    stopConsuming = undefined;
  });
});
