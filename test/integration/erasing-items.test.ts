import { Client } from '@opensearch-project/opensearch';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { createDeletedItems } from '#lib/mysql/deleted-items.ts';
import { createMessageIndex } from '#lib/opensearch/index/message-index.ts';
import { deleteChatsOfApplications, eraseChats } from '#lib/upkeep/erase-items.ts';
import { createErasure } from '#lib/upkeep/erasure.ts';
import { created } from '../support/commands.ts';
import { openStores, type Stores } from '../support/stores.ts';

/* What `eraseDeleted` leaves of deleted chats and applications, in MySQL, Redis and the index. */

const HOUR_MS = 60 * 60 * 1000;
const client = new Client({ node: inject('urls').OPENSEARCH_URL ?? '' });
const prefix = `${inject('names').indexPrefix}erasing-`;
const index = createMessageIndex({ client, prefix, refreshIntervalMs: 200, writeTimeoutMs: 25_000 });
let stores: Stores;
let ana: number;
let nowMs = Date.now() + 1_000;

beforeAll(async () => {
  stores = await openStores(inject('urls'), 'erasing', { keyPrefix: inject('names').keyPrefix });
  [ana = 0] = await stores.addUsers('ana');
  await index.prepare();
});
afterAll(async () => {
  await client.indices.delete({ index: `${prefix}*` });
  await stores?.close();
});

const now = () => nowMs;
const steps = () => {
  const uses = {
    deletedItems: createDeletedItems(stores.database),
    recentMessages: stores.recentMessages,
    messageIndex: index,
    now,
  };
  return [deleteChatsOfApplications(uses), eraseChats(uses)];
};
const erase = () => createErasure(steps(), { now })({ remainingMs: () => 50_000, log: () => undefined });

const messageOf = (token: string, chatNumber: number, messageNumber: number) => ({
  token,
  chatNumber,
  messageNumber,
  senderId: ana,
  senderName: 'ana',
  body: 'needle',
  ...created(chatNumber * 10_000 + messageNumber),
});
let applications = 0;
/** An application with two chats of so many messages, and all that belongs to them. */
const newApplication = async (count: number): Promise<string> => {
  applications += 1;
  const token = `app-${applications}`;
  const id = applications * 1_000_000;
  const { database, redis, keys } = stores;
  await stores.applications.insert([{ token, name: 'needle', creatorId: ana, ...created(id) }]);
  const numbers = [1, 2];
  await stores.chats.insert(
    numbers.map((chatNumber) => ({
      token,
      chatNumber,
      title: 'needle',
      creatorId: ana,
      ...created(id + chatNumber),
    })),
  );
  for (const chatNumber of numbers) {
    const all = Array.from({ length: count }, (_, i) => messageOf(token, chatNumber, i + 1));
    const { stored } = await stores.messages.insert(all);
    await index.write(
      stored.slice(0, 20).map((one) => ({ ...one, sender: 'handle', createdAt: '2026-01-01T00:00:00.000Z' })),
    );
    await stores.readMarkers.raise([{ userId: ana, token, chatNumber, number: 1 }]);
    await database.write(
      'INSERT INTO message_deletions (chat_id, number) SELECT id, 1 FROM chats WHERE token = ? AND number = ?',
      [token, chatNumber],
    );
    await database.write(
      'INSERT INTO reservations (token, chat_number, number, command_id) VALUES (?, ?, 9999, 1)',
      [token, chatNumber],
    );
    await redis.zadd(keys.windowOrder(token, chatNumber), 1, '1');
    await redis.hset(keys.windowEntries(token, chatNumber), '1', 'needle');
    await redis.hset(keys.pendingEdits(token, chatNumber), '1', '1');
    await redis.set(keys.chatCounter(token, chatNumber), count);
  }
  return token;
};

const tables = ['messages', 'message_deletions', 'read_markers'] as const;
/** The number of things that are left of a chat, by place. */
const leftOf = async (token: string, chatNumber: number) => {
  const { database, redis, keys } = stores;
  const counts = await Promise.all(
    tables.map(async (table) => {
      const [row] = await database.select(
        `SELECT COUNT(*) AS count FROM ${table} WHERE chat_id = (SELECT id FROM chats WHERE token = ? AND number = ?)`,
        [token, chatNumber],
      );
      return Number(row?.count);
    }),
  );
  const [reserved] = await database.select(
    'SELECT COUNT(*) AS count FROM reservations WHERE token = ? AND chat_number = ?',
    [token, chatNumber],
  );
  const inRedis = await redis.exists(
    keys.windowOrder(token, chatNumber),
    keys.windowEntries(token, chatNumber),
    keys.pendingEdits(token, chatNumber),
  );
  await client.indices.refresh({ index: `${prefix}*` });
  const { body } = await client.count({
    index: `${prefix}*`,
    body: { query: { term: { chat: `${token}:${chatNumber}` } } },
  });
  return [...counts, Number(reserved?.count), inRedis, body.count];
};
const nothing = [0, 0, 0, 0, 0, 0];
const rowOf = async (token: string, chatNumber: number) => {
  const [row] = await stores.database.select(
    'SELECT title, deleted_at, erase_at FROM chats WHERE token = ? AND number = ?',
    [token, chatNumber],
  );
  return row;
};
const deletedAt = () => ({ deletedAtMs: nowMs - 500, commandId: nowMs * 1000 });

test('a deleted chat loses all of it everywhere, and no other chat does', async () => {
  const token = await newApplication(1_200);
  expect(await leftOf(token, 1)).toEqual([1_200, 1, 1, 1, 3, 20]);
  await stores.chats.blank({ token, chatNumber: 1 }, deletedAt());
  expect(await erase()).toMatchObject({ chats: expect.any(Number), chatsOfApplications: 0 });
  expect(await leftOf(token, 1)).toEqual(nothing);
  expect(await leftOf(token, 2)).toEqual([1_200, 1, 1, 1, 3, 20]);
  expect(await rowOf(token, 1)).toMatchObject({ title: null });
  expect(await rowOf(token, 2)).toEqual({ title: 'needle', deleted_at: null, erase_at: null });
});

test('an interrupted erasure goes on where it was', async () => {
  const token = await newApplication(1_200);
  await stores.chats.blank({ token, chatNumber: 2 }, deletedAt());
  const [, chats] = steps();
  expect(await chats?.slice()).toBe(1_000);
  expect((await leftOf(token, 2))[0]).toBe(200);
  // Another process, or a later run.
  await erase();
  expect(await leftOf(token, 2)).toEqual(nothing);
});

test('a deleted application loses all of its chats', async () => {
  const token = await newApplication(30);
  await stores.applications.blank(token, deletedAt());
  expect(await erase()).toMatchObject({ chatsOfApplications: 3 });
  for (const chatNumber of [1, 2]) {
    expect(await leftOf(token, chatNumber)).toEqual(nothing);
    expect(await rowOf(token, chatNumber)).toMatchObject({ title: null, deleted_at: expect.any(Date) });
  }
  expect(
    await stores.database.select('SELECT name, erase_at FROM applications WHERE token = ?', [token]),
  ).toEqual([{ name: '', erase_at: null }]);
});

test('what comes back to the index within a day is removed again, also from an index under construction', async () => {
  const token = await newApplication(30);
  await stores.chats.blank({ token, chatNumber: 1 }, deletedAt());
  await erase();
  let version = 1_000_000;
  /** With another version: the index refuses the one that it has just removed, and forgets it after a minute. */
  const comeBack = async () => {
    version += 1;
    const late = {
      ...messageOf(token, 1, 1),
      sender: 'handle',
      createdAt: '2026-01-01T00:00:00.000Z',
      version,
    };
    await index.write([late]);
  };
  await comeBack();
  expect((await leftOf(token, 1)).at(-1)).toBe(1);
  await index.beginRebuild();
  await comeBack();
  nowMs += HOUR_MS + 1_000;
  await erase();
  expect(await leftOf(token, 1)).toEqual(nothing);
  expect((await rowOf(token, 1))?.erase_at).toBeInstanceOf(Date);
  nowMs += 25 * HOUR_MS;
  await erase();
  expect((await rowOf(token, 1))?.erase_at).toBeNull();
  expect(await erase()).toEqual({ chatsOfApplications: 0, chats: 0 });
});
