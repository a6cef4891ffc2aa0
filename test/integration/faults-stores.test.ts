import { Client } from '@opensearch-project/opensearch';
import { connect } from 'amqplib';
import { Redis } from 'ioredis';
import { createConnection, type RowDataPacket } from 'mysql2/promise';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { createKeys } from '#lib/redis/script/keys.ts';
import { createIndexContents } from '../support/index-contents.ts';
import { eventually, type System, startSystem, upTo } from '../support/own-system.ts';

let system: System;
let client: Client;
let token: string;
let chatNumber: number;
let stopConsuming: (() => Promise<void>) | undefined;

beforeAll(async () => {
  system = await startSystem('faults-stores');
  client = new Client({ node: system.stack.urls.OPENSEARCH_URL ?? '' });
  stopConsuming = await system.consume();
});

afterEach(async () => {
  await client.indices.putSettings({
    index: 'messages',
    body: { 'index.blocks.write': null, 'index.blocks.read_only_allow_delete': null },
  });
});

afterAll(async () => {
  await stopConsuming?.();
  await client?.close();
  await system?.stop();
});

const begin = async () => {
  token = await system.accept.application();
  chatNumber = await system.accept.chat(token);
};
const stored = (count: number) =>
  eventually(async () => expect(await system.stored(token, chatNumber)).toEqual(upTo(count)));
const indexed = async (): Promise<number[]> => {
  const contents = createIndexContents(client);
  await contents.refresh();
  const found = await contents.listVersions({ token, chatNumber });
  return found.map(({ messageNumber }) => messageNumber);
};
/** Waits until MySQL and the index have all messages, every outbox is empty, and there are no dead letters. */
const whole = (count: number) =>
  eventually(async () => {
    expect(await system.stored(token, chatNumber)).toEqual(upTo(count));
    expect(await indexed()).toEqual(upTo(count));
    expect(Object.values(await system.depths()).every((depth) => depth === 0)).toBe(true);
    expect(JSON.stringify(await system.invoke('deadLetters'))).not.toContain('"id"');
  });

describe('MySQL', { timeout: 60_000 }, () => {
  test('locks a row for longer than a statement waits: the batch is redelivered', async () => {
    await begin();
    await system.accept.message(token, chatNumber);
    await stored(1);
    const connection = await createConnection(system.stack.urls.MYSQL_URL);
    try {
      await connection.beginTransaction();
      // Holds the parent row and the gap behind the newest message: an insert waits for both.
      await connection.query('SELECT * FROM chats WHERE token = ? FOR UPDATE', [token]);
      const before = system.failures('create-message');
      await system.accept.messages(token, chatNumber, 20);
      const waiting = async () => {
        const [rows] = await connection.query<RowDataPacket[]>(
          "SELECT COUNT(*) AS count FROM information_schema.INNODB_TRX WHERE trx_state = 'LOCK WAIT'",
        );
        return rows[0]?.count;
      };
      // InnoDB refreshes this table only for a reader that has waited for 0.1 s.
      await expect.poll(waiting, { interval: 300, timeout: 30_000 }).toBeGreaterThanOrEqual(1);
      // Three tries of five seconds each.
      await eventually(() => expect(system.failures('create-message')).toBeGreaterThan(before), 30_000);
      expect(await system.stored(token, chatNumber)).toEqual([1]);
    } finally {
      await connection.rollback();
      await connection.end();
    }
    await whole(21);
  });

  test('ends every connection in the middle of the work', async () => {
    await begin();
    const admin = await createConnection(system.stack.urls.MYSQL_URL);
    try {
      for (let round = 0; round < 5; round += 1) {
        await system.accept.messages(token, chatNumber, 40);
        const [found] = await admin.query(
          'SELECT ID AS id FROM information_schema.PROCESSLIST WHERE ID <> CONNECTION_ID() AND USER = SUBSTRING_INDEX(USER(), "@", 1)',
        );
        for (const { id } of found as { id: number }[]) {
          await admin.query(`KILL ${id}`).catch(() => undefined);
        }
      }
    } finally {
      await admin.end();
    }
    await whole(200);
  });

  test('is killed, and comes back', async () => {
    await begin();
    system.service('mysql').kill('SIGKILL');
    await system.service('mysql').stop();
    try {
      expect(await system.accept.messages(token, chatNumber, 50)).toEqual(upTo(50));
    } finally {
      await system.service('mysql').start();
    }
    await whole(50);
  });
});

describe('a server without a table or permission that every command needs: none becomes a dead letter', {
  timeout: 60_000,
}, () => {
  /** Waits until a counter of the server has increased enough since `before`. */
  const movesOn = (count: () => Promise<number>, before: number) =>
    eventually(async () => expect(await count()).toBeGreaterThan(before + 10));

  test('MySQL lacks a table until it is migrated', async () => {
    await begin();
    await system.accept.message(token, chatNumber);
    await whole(1);
    const admin = await createConnection(system.stack.urls.MYSQL_URL);
    const inserts = async (): Promise<number> => {
      const [rows] = await admin.query<RowDataPacket[]>("SHOW GLOBAL STATUS LIKE 'Com_insert'");
      return Number(rows[0]?.Value);
    };
    try {
      await admin.query('RENAME TABLE messages TO messages_of_tomorrow');
      const before = await inserts();
      await system.accept.messages(token, chatNumber, 9);
      await movesOn(inserts, before);
    } finally {
      await admin.query('RENAME TABLE messages_of_tomorrow TO messages');
      await admin.end();
    }
    await whole(10);
  });

  test('Redis refuses the right to run a script', async () => {
    await begin();
    await system.accept.message(token, chatNumber);
    await whole(1);
    const url = new URL(system.stack.urls.REDIS_URL);
    const owner = new Redis(url.href);
    const admin = await owner
      .call('ACL', 'SETUSER', 'admin', 'on', `>${url.password}`, '~*', '&*', '+@all')
      .then(() => new Redis(url.href, { username: 'admin' }));
    const refusals = async () =>
      Number(/errorstat_NOPERM:count=(\d+)/.exec(await admin.info('errorstats'))?.[1] ?? 0);
    const mysql = system.service('mysql');
    try {
      mysql.pause();
      await system.accept.messages(token, chatNumber, 9);
      await admin.call('ACL', 'SETUSER', 'default', '-@scripting');
      const before = await refusals();
      mysql.resume();
      await movesOn(refusals, before);
    } finally {
      mysql.resume();
      await admin.call('ACL', 'SETUSER', 'default', '+@scripting');
      owner.disconnect();
      admin.disconnect();
    }
    await whole(10);
  });
});

describe('Redis', { timeout: 60_000 }, () => {
  const found = async (): Promise<number[]> => {
    const { search, applicationDirectory, chatDirectory, outbox, cursors, now } = system.services;
    const { searchMessages } = await import('../../functions/http/messages/search-messages.ts');
    const { items } = await searchMessages(
      {
        input: { token, chatNumber, q: 'message', page: 1, limit: 100, highlight: false },
        caller: { id: system.userId, name: 'Ada', generation: 0 },
        credentials: { user: '', password: '' },
        idempotency: undefined,
        expected: undefined,
        clientAddress: '127.0.0.1',
      },
      {
        search: search(),
        applicationDirectory: applicationDirectory(),
        chatDirectory: chatDirectory(),
        outbox: outbox(),
        cursors: cursors(),
        now: now(),
      },
    );
    return items.map(({ messageNumber }) => messageNumber).sort((a, b) => a - b);
  };
  const shown = async (): Promise<number[]> => {
    const { messages: page } = await system.services
      .conversation()
      .page({ token, chatNumber }, { skip: 0, count: 100 });
    return page.map(({ messageNumber }) => messageNumber).sort((a, b) => a - b);
  };

  test('is down, and then not trusted: writes are refused, reading and searching continue', async () => {
    await begin();
    await system.accept.messages(token, chatNumber, 5);
    await whole(5);
    const redis = system.service('redis');
    redis.kill('SIGKILL');
    await redis.stop();
    try {
      await expect(system.accept.message(token, chatNumber)).rejects.toMatchObject({ code: 'unavailable' });
      expect(await found()).toEqual(upTo(5));
      expect(await shown()).toEqual(upTo(5));
      await redis.wipe();
    } finally {
      await redis.start();
    }
    await eventually(() =>
      expect(system.accept.message(token, chatNumber)).rejects.toMatchObject({
        message: expect.stringContaining('numbers are being recovered'),
        retryAfterSeconds: 1,
      }),
    );
    expect(await found()).toEqual(upTo(5));
    expect(await shown()).toEqual(upTo(5));
    await eventually(async () =>
      expect(await system.invoke('recoverCounters')).toMatchObject({ gate: 'open' }),
    );
    expect(await system.accept.message(token, chatNumber)).toBe(6);
    await whole(6);
    expect(await found()).toEqual(upTo(6));
  });
});

const openSearch = async (path: string, body: object) => {
  const response = await fetch(new URL(path, system.stack.urls.OPENSEARCH_URL), {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  expect(await response.json()).toMatchObject({ acknowledged: true });
};

describe('OpenSearch', { timeout: 90_000 }, () => {
  test.each([
    ['takes no writes (403)', 'index.blocks.write'],
    ['has a full disk (429)', 'index.blocks.read_only_allow_delete'],
  ])('%s for a while: MySQL goes on, the index follows', async (_what, block) => {
    await begin();
    await client.indices.putSettings({ index: 'messages', body: { [block]: true } });
    await system.accept.messages(token, chatNumber, 10);
    await stored(10);
    await eventually(async () => expect((await system.depths())['index-message']).toBe(10));
    expect(await indexed()).toEqual([]);
    await client.indices.putSettings({ index: 'messages', body: { [block]: null } });
    await whole(10);
  });

  test('closes the index for a while: messages wait for indexing, and search fails', async () => {
    await begin();
    await client.indices.close({ index: 'messages' });
    try {
      const before = system.failures('index-message');
      await system.accept.messages(token, chatNumber, 10);
      await stored(10);
      await eventually(() => expect(system.failures('index-message')).toBeGreaterThan(before + 1));
      const search = { token, chatNumber, text: 'message', page: 1, limit: 10 };
      await expect(system.services.messageIndex().search(search)).rejects.toMatchObject({
        code: 'unavailable',
      });
      expect((await system.depths())['index-message']).toBe(10);
    } finally {
      await client.indices.open({ index: 'messages' });
    }
    await whole(10);
  });

  test('has a red shard for a while: messages wait for indexing', async () => {
    await begin();
    const { body: all } = await client.indices.get({ index: 'messages' });
    const [[healthy = '', like] = []] = Object.entries(all);
    await client.indices.create({
      index: 'messages-red',
      wait_for_active_shards: '0',
      body: {
        mappings: like?.mappings ?? {},
        settings: {
          analysis: like?.settings?.index?.analysis ?? {},
          'index.routing.allocation.enable': 'none',
        },
      },
    });
    const moveAlias = (from: string, to: string) =>
      client.indices.updateAliases({
        body: {
          actions: [
            { add: { index: to, alias: 'messages' } },
            { remove: { index: from, alias: 'messages' } },
          ],
        },
      });
    await moveAlias(healthy, 'messages-red');
    try {
      await expect(system.services.messageIndex().ping()).rejects.toMatchObject({ code: 'unavailable' });
      const before = system.failures('index-message');
      await system.accept.messages(token, chatNumber, 10);
      await stored(10);
      await eventually(() => expect(system.failures('index-message')).toBeGreaterThan(before), 45_000);
      expect((await system.depths())['index-message']).toBe(10);
      await client.indices.putSettings({
        index: 'messages-red',
        body: { 'index.routing.allocation.enable': 'all' },
      });
      await whole(10);
    } finally {
      await moveAlias('messages-red', healthy);
      await client.indices.delete({ index: 'messages-red' });
    }
  });

  test('is killed, and comes back', async () => {
    await begin();
    system.service('opensearch').kill('SIGKILL');
    await system.service('opensearch').stop();
    try {
      await system.accept.messages(token, chatNumber, 10);
      await stored(10);
    } finally {
      await system.service('opensearch').start();
    }
    await whole(10);
  });

  test('refuses one message of a batch: it becomes a dead letter, and the others are found', async () => {
    await begin();
    const message = {
      token,
      chatNumber,
      senderName: 'Ada',
      body: 'text',
      createdAt: '2026-01-01T00:00:00.000Z',
      version: 1,
    };
    // An operator's pipeline that cannot take one of them.
    const settings = (pipeline: string | null) =>
      openSearch('/messages/_settings', { 'index.default_pipeline': pipeline });
    await openSearch('/_ingest/pipeline/picky', {
      processors: [{ convert: { field: 'body', type: 'integer', if: 'ctx.messageNumber == 7' } }],
    });
    await settings('picky');
    const numbers = [1, 7, 4_294_967_294];
    const connection = await connect(system.stack.urls.RABBITMQ_URL);
    try {
      const channel = await connection.createConfirmChannel();
      for (const messageNumber of numbers) {
        channel.sendToQueue('index-message', Buffer.from(JSON.stringify({ ...message, messageNumber })));
      }
      await channel.waitForConfirms();
      await eventually(async () => {
        expect(await indexed()).toEqual([1, 4_294_967_294]);
        expect(await system.invoke('deadLetters', { queue: 'index-message' })).toMatchObject({
          'index-message': {
            held: 1,
            letters: [{ messageNumber: 7, reason: expect.stringContaining('refused by the index') }],
          },
        });
      });
    } finally {
      await connection.close();
      await settings(null);
    }
    await system.invoke('deadLetters', { action: 'discard', queue: 'index-message' });
  });

  test('is sent an invalid command: it becomes one dead letter and delays no other command', async () => {
    await begin();
    const redis = new Redis(system.stack.urls.REDIS_URL);
    const connection = await connect(system.stack.urls.RABBITMQ_URL);
    try {
      // Something is on its way to the index meanwhile.
      await redis.zadd(createKeys().indexOutbox, 7, `${token}:9:9`);
      const channel = await connection.createConfirmChannel();
      channel.sendToQueue('index-message', Buffer.from('{"not": "a message"}'), { messageId: '5' });
      await channel.waitForConfirms();
      await system.accept.messages(token, chatNumber, 3);
      await eventually(async () => expect(await indexed()).toEqual(upTo(3)));
      expect(await system.invoke('deadLetters', { queue: 'index-message' })).toMatchObject({
        'index-message': {
          held: 1,
          letters: [{ id: expect.stringMatching(/^5\./), reason: expect.stringContaining('malformed') }],
        },
      });
      expect(await redis.zscore(createKeys().indexOutbox, `${token}:9:9`)).toBe('7');
    } finally {
      await connection.close();
      await redis.zrem(createKeys().indexOutbox, `${token}:9:9`).finally(() => redis.disconnect());
    }
    await system.invoke('deadLetters', { action: 'discard', queue: 'index-message' });
    await whole(3);
  });
});
