import { Client } from '@opensearch-project/opensearch';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { createDeletedItems } from '#lib/mysql/deleted-items.ts';
import { createMessageIndex } from '#lib/opensearch/index/message-index.ts';
import { deleteChatsOfApplications, eraseChats, unindexChats } from '#lib/upkeep/erase-items.ts';
import { createErasure, type ErasureStep } from '#lib/upkeep/erasure.ts';
import { createRelay } from '#lib/upkeep/relay.ts';
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
  return [deleteChatsOfApplications(uses), eraseChats(uses), unindexChats(uses)];
};
const run = (ofSteps: ErasureStep[]) =>
  createErasure(ofSteps, { now })({ remainingMs: () => 50_000, log: () => undefined });
const erase = () => run(steps());
/** Each counter in Redis, and the seconds until it expires. */
const countersOf = async (token: string) => {
  const { redis, keys } = stores;
  const counters = [1, 2].map((chatNumber) => keys.chatCounter(token, chatNumber));
  return Promise.all(
    counters.map(async (counter) => [
      await redis.get(counter),
      Math.max(0, Math.ceil((await redis.ttl(counter)) / 1_000)),
    ]),
  );
};

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
    'SELECT title, deleted_at, erase_at, unindex_at FROM chats WHERE token = ? AND number = ?',
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
  expect(await rowOf(token, 2)).toEqual({
    title: 'needle',
    deleted_at: null,
    erase_at: null,
    unindex_at: null,
  });
});

test('of a deleted chat the feed keeps its deletion alone', async () => {
  const token = await newApplication(3);
  const types = ['chat.created', 'message.created', 'chat.deleted'] as const;
  await stores.changes.insert(
    'create-chat',
    [1, 2].flatMap((chatNumber) =>
      types.map((type, at) => ({
        type,
        token,
        chatNumber,
        changeNumber: (chatNumber * 10 + at) * 16,
        movesWitness: false,
      })),
    ),
  );
  await stores.chats.blank({ token, chatNumber: 1 }, deletedAt());
  await erase();
  const rows = await stores.database.select(
    `SELECT c.type, c.chat_number FROM changes c JOIN applications a ON a.id = c.application_id
     WHERE a.token = ? ORDER BY c.number`,
    [token],
  );
  expect(rows.map(({ type, chat_number: chatNumber }) => [type, chatNumber])).toEqual([
    ['chat.deleted', 1],
    ...types.map((type) => [type, 2]),
  ]);
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

test('erased messages leave the outbox of the index, and no other message does', async () => {
  const token = await newApplication(3);
  const { redis, keys, outbox, messages, settles } = stores;
  const members = (chatNumber: number) => [1, 2, 3].map((number) => `${token}:${chatNumber}:${number}`);
  const all = [...members(1), ...members(2)];
  await redis.zadd(keys.indexOutbox, ...all.flatMap((member, i) => [1_000 + i, member]));
  await redis.zadd(keys.deletions, ...all.flatMap((member) => ['+inf', member]));
  await stores.chats.blank({ token, chatNumber: 1 }, deletedAt());
  await erase();
  const published: string[] = [];
  const relay = createRelay({
    outbox,
    messages,
    settles,
    publisher: {
      declare: async () => [],
      depth: async () => ({ ready: 0, retry: 0, dead: 0 }),
      publish: async (publications) => {
        published.push(...publications.map(({ content }) => String(content)));
      },
    },
    queues: [],
    longestDeferralMs: 0,
    now: () => Date.now(),
  });
  await relay(0, { remainingMs: () => 10_000 });
  expect(published).toHaveLength(3);
  expect(await redis.zrange(keys.indexOutbox, 0, '-1')).toEqual(members(2));
  // A search may still see the index as it was, so the references to deleted ones stay for a minute.
  const until = await Promise.all(
    all.map(async (member) => Number(await redis.zscore(keys.deletions, member))),
  );
  expect(until.map(Number.isFinite)).toEqual([true, true, true, false, false, false]);
  await redis.zremrangebyscore(keys.deletions, '-inf', '(+inf');
  expect(await redis.zrange(keys.deletions, 0, '-1')).toEqual(members(2));
});

test('the counters of the chats of a deleted application become marks, which expire', async () => {
  const token = await newApplication(3);
  await stores.redis.zadd(stores.keys.dirtyChats, 1, `${token}:1`, 1, `${token}:2`);
  // The second chat was deleted before, and its mark has begun to expire.
  await stores.redis.set(stores.keys.chatCounter(token, 2), 'deleted', 'EX', 7_000);
  await stores.applications.blank(token, deletedAt());
  expect(await countersOf(token)).toEqual([
    ['3', 0],
    ['deleted', 7],
  ]);
  await erase();
  expect(await countersOf(token)).toEqual([
    ['deleted', 87],
    ['deleted', 7],
  ]);
  expect(await stores.redis.zscore(stores.keys.dirtyChats, `${token}:1`)).toBeNull();
});

test('an application of many chats is read once, slice after slice', async () => {
  const token = await newApplication(1);
  const id = applications * 1_000_000;
  const more = Array.from({ length: 2_100 }, (_, i) => ({
    token,
    chatNumber: 3 + i,
    title: 'needle',
    creatorId: ana,
    ...created(id + 3 + i),
  }));
  for (let from = 0; from < more.length; from += 700) await stores.chats.insert(more.slice(from, from + 700));
  await stores.applications.blank(token, deletedAt());
  const deletedItems = createDeletedItems(stores.database);
  const slices: unknown[] = [];
  let place: Awaited<ReturnType<typeof deletedItems.deleteChats>>;
  do {
    place = await deletedItems.deleteChats(nowMs, place);
    slices.push(place && [place.erased, place.chatNumber]);
    // No slice reads the chats of the one before again, so this one stays.
    if (slices.length === 1)
      await stores.database.write('UPDATE chats SET deleted_at = NULL WHERE token = ? AND number = 1', [
        token,
      ]);
  } while (place !== undefined);
  expect(slices).toEqual([[1_000, 1_000], [1_000, 2_000], [103, 2_102], undefined]);
  expect((await rowOf(token, 1))?.deleted_at).toBeNull();
  await stores.chats.blank({ token, chatNumber: 1 }, deletedAt());
  // Another process knows no place.
  await stores.database.write('UPDATE applications SET erase_at = deleted_at WHERE token = ?', [token]);
  await erase();
  expect(await leftOf(token, 1)).toEqual(nothing);
  // Later tests need not look at these chats again.
  await stores.database.write('UPDATE chats SET erase_at = NULL WHERE token = ?', [token]);
});

test('a search outage stops no erasure in MySQL and Redis, of however many chats', async () => {
  const token = await newApplication(3);
  const id = applications * 1_000_000;
  await stores.chats.insert(
    Array.from({ length: 150 }, (_, i) => ({
      token,
      chatNumber: 3 + i,
      creatorId: ana,
      ...created(id + 3 + i),
    })),
  );
  // More chats than one slice has, and the ones with messages are the last.
  for (let chatNumber = 152; chatNumber > 0; chatNumber -= 1)
    await stores.chats.blank(
      { token, chatNumber },
      { ...deletedAt(), deletedAtMs: nowMs - 500 - chatNumber },
    );
  const { database, recentMessages } = stores;
  const deletedItems = createDeletedItems(database);
  const down = { removeChats: () => Promise.reject(new Error('OpenSearch is down')) };
  const uses = { deletedItems, recentMessages, now };
  const withoutIndex = [eraseChats(uses), unindexChats({ ...uses, messageIndex: down })];
  await expect(run(withoutIndex)).rejects.toThrow('OpenSearch is down');
  expect((await leftOf(token, 1)).slice(0, -1)).toEqual(nothing.slice(1));
  expect((await leftOf(token, 2)).slice(0, -1)).toEqual(nothing.slice(1));
  expect((await leftOf(token, 1)).at(-1)).toBe(3);
  await erase();
  expect(await leftOf(token, 1)).toEqual(nothing);
  expect((await rowOf(token, 1))?.unindex_at).toBeNull();
});

test('what comes back to the index within a day is removed again, also from an index under construction', async () => {
  const token = await newApplication(30);
  await stores.chats.blank({ token, chatNumber: 1 }, deletedAt());
  await erase();
  let version = 1_000_000;
  /** With another version: the index refuses a version that it has just removed, and forgets it after a minute. */
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
  expect(await rowOf(token, 1)).toMatchObject({ erase_at: null, unindex_at: null });
  expect(await erase()).toEqual({ chatsOfApplications: 0, chats: 0, index: 0 });
});
