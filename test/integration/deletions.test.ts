import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { Client } from '@opensearch-project/opensearch';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { updateMessageCommand } from '#lib/contracts/commands/update-message.ts';
import { deadQueue } from '#lib/contracts/queues.ts';
import { createToken } from '#lib/domain/token.ts';
import { toIndexPublication } from '#lib/writing/hand-on.ts';
import { createIndexContents } from '../support/index-contents.ts';
import { eventually, type System, startSystem } from '../support/own-system.ts';
import type { Queue } from '../support/queue-consumers.ts';

/*
 * What happens around the deletion of a message, on servers of this file's own. The text of each message is random, so
 * that it can be looked for in every store.
 */

let system: System;
let client: Client;
let token: string;
let chatNumber: number;
let needle: string;
let stopConsuming: (() => Promise<void>) | undefined;

const others: Queue[] = ['create-application', 'create-chat', 'create-message'];
const consume = async (...queues: Queue[]) => {
  await stopConsuming?.();
  stopConsuming = await system.consume(...queues);
};

beforeAll(async () => {
  system = await startSystem('deletions', { environment: { MAX_DEFERRALS: '2' } });
  client = new Client({ node: system.stack.urls.OPENSEARCH_URL ?? '' });
});
afterEach(async () => {
  await stopConsuming?.();
  stopConsuming = undefined;
});
afterAll(async () => {
  await client?.close();
  await system?.stop();
});

const send = () => system.accept.message(token, chatNumber, needle);
const edit = (body: string, messageNumber = 1) => system.accept.edit(token, chatNumber, messageNumber, body);
const remove = (messageNumber = 1) => system.accept.remove(token, chatNumber, messageNumber);
const begin = async () => {
  needle = `needle${randomUUID().replaceAll('-', '')}`;
  token = await system.accept.application('app', createToken());
  chatNumber = await system.accept.chat(token);
  expect(await send()).toBe(1);
};
const read = () => system.services.conversation().message({ token, chatNumber }, 1);
const page = () => system.services.conversation().page({ token, chatNumber }, { skip: 0, count: 10 });
const expectDeleted = async () => {
  const blank = { messageNumber: 1, body: '', deletedAtMs: expect.any(Number) };
  expect(await read()).toMatchObject(blank);
  expect(await page()).toMatchObject({ messages: [blank] });
};
const found = async () => {
  const { hits } = await system.services
    .search()
    .find({ token, chatNumber, text: needle, order: 'best', limit: 10 });
  return hits.map(({ messageNumber }) => messageNumber);
};
const row = async () => {
  const [one] = await system.services
    .database()
    .select('SELECT * FROM messages WHERE token = ? AND chat_number = ? AND number = 1', [token, chatNumber]);
  return one;
};
const withRedis = async <Result>(work: (redis: Redis) => Promise<Result>): Promise<Result> => {
  const redis = new Redis(system.stack.urls.REDIS_URL, { maxRetriesPerRequest: 3 });
  redis.on('error', () => undefined);
  try {
    return await work(redis);
  } finally {
    redis.disconnect();
  }
};
/** Whether the text is in any value of Redis, any row of MySQL or any document of the index. */
const storesWithText = async (): Promise<string[]> => {
  const inRedis = await withRedis(async (redis) => {
    const values: string[] = [];
    for (const key of await redis.keys('*')) {
      const type = await redis.type(key);
      if (type === 'string') values.push((await redis.get(key)) ?? '');
      if (type === 'hash') values.push(JSON.stringify(await redis.hgetall(key)));
      if (type === 'stream') values.push(JSON.stringify(await redis.xrange(key, '-', '+')));
      if (type === 'zset') values.push(JSON.stringify(await redis.zrange(key, 0, '-1')));
    }
    return values;
  });
  const inMysql = JSON.stringify(
    await system.services.database().select('SELECT * FROM messages WHERE token = ?', [token]),
  );
  await createIndexContents(client).refresh();
  const { body } = await client.search({ index: 'messages', body: { size: 1_000 } });
  const stores = { redis: inRedis.join('\n'), mysql: inMysql, index: JSON.stringify(body) };
  return Object.entries(stores).flatMap(([store, text]) => (text.includes(needle) ? [store] : []));
};
const settled = () =>
  eventually(async () => {
    expect(Object.values(await system.depths()).every((depth) => depth === 0)).toBe(true);
  }, 30_000);
const indexed = () =>
  eventually(async () => {
    await createIndexContents(client).refresh();
    expect(await found()).toEqual([1]);
  });
const noDeadLetters = async () =>
  expect(JSON.stringify(await system.invoke('deadLetters'))).not.toContain('"id"');
const recovered = () =>
  eventually(async () => {
    expect(await system.invoke('recoverCounters')).toMatchObject({ gate: 'open' });
  }, 30_000);

describe('a deleted message', { timeout: 90_000 }, () => {
  test('is blank at once while its creation is pending, and leaves its text in no store', async () => {
    await begin();
    await edit(`${needle} edited`);
    await remove();
    await expectDeleted();
    await remove();
    await expect(edit('again')).rejects.toMatchObject({ code: 'conflict' });
    expect(await storesWithText()).toEqual(['redis']);
    await consume();
    await settled();
    expect(await storesWithText()).toEqual([]);
    await expectDeleted();
    await remove();
    await expect(edit('again')).rejects.toMatchObject({ code: 'conflict' });
    expect(await found()).toEqual([]);
    expect(await row()).toMatchObject({ body: '', deleted_at: expect.any(Date) });
    await noDeadLetters();
  });

  test('is blank in MySQL before the answer, with RabbitMQ and OpenSearch down', async () => {
    await begin();
    await consume();
    await settled();
    await indexed();
    await stopConsuming?.();
    stopConsuming = undefined;
    await system.service('rabbitmq').stop();
    await system.service('opensearch').stop();
    try {
      await remove();
      expect(await row()).toMatchObject({ body: '', deleted_at: expect.any(Date) });
      await expectDeleted();
    } finally {
      await system.service('opensearch').start();
      await system.service('rabbitmq').start();
    }
    await system.invoke('migrate');
    await consume();
    await eventually(() => system.invoke('relayOutbox', { olderThanSeconds: 0 }), 30_000);
    await settled();
    expect(await storesWithText()).toEqual([]);
  });

  test('waits without a limit for its creation, and becomes no dead letter', async () => {
    await begin();
    await remove();
    await consume('create-application', 'create-chat', 'update-message');
    // More attempts than are allowed, a second each.
    await delay(5_000);
    await noDeadLetters();
    expect((await system.depths())['update-message']).toBe(1);
    await expectDeleted();
    await consume();
    await settled();
    expect(await storesWithText()).toEqual([]);
    await noDeadLetters();
  });

  test('stays deleted if Redis loses everything before the deletion is stored', async () => {
    await begin();
    await consume(...others, 'index-message');
    await settled();
    await indexed();
    await remove();
    await withRedis((redis) => redis.flushall());
    await consume();
    await recovered();
    await expectDeleted();
    await settled();
    expect(await storesWithText()).toEqual([]);
    // MySQL is asked from now on, as Redis may have forgotten a deletion.
    expect(await found()).toEqual([]);
    await expect(edit('again')).rejects.toMatchObject({ code: 'conflict' });
  });

  test('stays deleted if an old write of the index comes after the index has forgotten removed versions', async () => {
    await client.indices.putSettings({ index: 'messages', body: { 'index.gc_deletes': '1s' } });
    await begin();
    await consume();
    await settled();
    const [stored] = await system.services.messages().find([{ token, chatNumber, messageNumber: 1 }]);
    if (stored === undefined) return expect.unreachable();
    const old = toIndexPublication(stored);
    await remove();
    await settled();
    await delay(2_000);
    await system.services.publisher().publish([old]);
    await eventually(async () =>
      expect((await system.services.publisher().depth('index-message')).ready).toBe(0),
    );
    await delay(1_000);
    expect(await storesWithText()).toEqual([]);
    expect(await found()).toEqual([]);
  });
});

describe('a search while the index lags', { timeout: 90_000 }, () => {
  const givenOldIndex = async () => {
    await begin();
    await consume();
    await settled();
    await indexed();
  };

  test('leaves out a message whose deletion is pending, and one that is stored', async () => {
    await givenOldIndex();
    await consume(...others);
    await remove();
    expect(await found()).toEqual([]);
    await consume(...others, 'update-message');
    await eventually(async () => expect((await system.depths())['update-message']).toBe(0));
    expect(await storesWithText()).toEqual(['index']);
    expect(await found()).toEqual([]);
  });

  test('asks MySQL while Redis is away, and finds nothing out with neither', async () => {
    await givenOldIndex();
    await consume(...others);
    await remove();
    await system.service('redis').stop();
    try {
      expect(await found()).toEqual([]);
      await system.service('mysql').stop();
      await expect(found()).rejects.toMatchObject({ code: 'unavailable' });
    } finally {
      await system.service('mysql').start();
      await system.service('redis').start();
    }
    await consume();
    await recovered();
    await settled();
    expect(await storesWithText()).toEqual([]);
  });
});

describe('operators', { timeout: 120_000 }, () => {
  test('rebuild and compare the index beside deletions: no text comes back, and nothing differs', async () => {
    await begin();
    const numbers = [1, ...(await system.accept.messages(token, chatNumber, 60))];
    await consume();
    await settled();
    const rebuilding = system.invoke('reindex');
    for (const number of numbers.filter((one) => one % 2 === 1)) await remove(number);
    expect(await rebuilding).toMatchObject({ state: 'done' });
    await settled();
    await createIndexContents(client).refresh();
    expect(await found()).toEqual([]);
    expect(await storesWithText()).toEqual([]);
    const whole = { sample: 'whole', settledForSeconds: 0 };
    expect(await system.invoke('reconcile', whole)).toMatchObject({
      missing: 0,
      older: 0,
      newer: 0,
      surplus: 0,
    });
    expect(await system.invoke('reindex', {})).toMatchObject({ state: 'done' });
    expect(await storesWithText()).toEqual([]);
  });

  test('see no text of a deleted message in its dead letters, which the erasure discards', async () => {
    await begin();
    await consume();
    await settled();
    const command = { token, chatNumber, messageNumber: 1, body: needle, date: 'never' };
    await system.services.publisher().publish([
      { queue: deadQueue(updateMessageCommand.queue), content: JSON.stringify(command) },
      {
        queue: deadQueue(updateMessageCommand.queue),
        content: JSON.stringify({ ...command, messageNumber: 2, body: 'another' }),
      },
    ]);
    const show = async () =>
      JSON.stringify(await system.invoke('deadLetters', { action: 'show', queue: 'update-message' }));
    expect(await show()).toContain(needle);
    await remove();
    expect(await show()).not.toContain(needle);
    await settled();
    expect(await system.invoke('eraseDeleted')).toMatchObject({ letters: 1 });
    expect(await show()).toContain('another');
    const { dead } = await system.services.publisher().depth('update-message');
    expect(dead).toBe(1);
    await system.invoke('deadLetters', { action: 'discard', queue: 'update-message' });
  });
});
