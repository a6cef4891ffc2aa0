import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { createApplicationCommand } from '#lib/contracts/commands/create-application.ts';
import { createChatCommand } from '#lib/contracts/commands/create-chat.ts';
import { createMessageCommand } from '#lib/contracts/commands/create-message.ts';
import { parseEmailAddress } from '#lib/domain/email-address.ts';
import { createApplicationDirectory } from '#lib/reading/applications.ts';
import { createChatDirectory } from '#lib/reading/chats.ts';
import { createConversation } from '#lib/reading/conversation.ts';
import { createWithSenders } from '#lib/reading/senders.ts';
import { createUnread } from '#lib/reading/unread.ts';
import { createRedisClient } from '#lib/redis/connection/client.ts';
import { createCounters } from '#lib/redis/gate/counters.ts';
import { createSignInAttempts } from '#lib/redis/limits/sign-in-attempts.ts';
import { createDirectory } from '#lib/redis/window/directory.ts';
import { createMarkers } from '#lib/redis/window/read-markers.ts';
import { createRecentMessages } from '#lib/redis/window/recent-messages.ts';
import { persistMessage } from '../../functions/consumers/persist-message.ts';
import { type RunningService, type Stack, silentReport, startServices } from '../../local/services/index.ts';
import { acceptingOn } from '../support/accepting.ts';
import { received } from '../support/received.ts';
import { openGateOf, openStores, type Stores } from '../support/stores.ts';

/*
 * Servers of this file's own: they are killed, frozen and filled.
 */

let stack: Stack;
let mysql: RunningService;
let redis: RunningService;
let stores: Stores;
let ana: number;
let sender: string | undefined;
let queries = 0;

const token = 'app';
const date = '2026-01-01T00:00:00.000Z';
const size = 40;

const readers = (client = stores.client) => {
  const { keys, messages, chats, applications, users, readMarkers } = stores;
  const recentMessages = createRecentMessages({ client, keys });
  const directory = createDirectory({ client, keys });
  const counters = createCounters({ client, keys });
  const unread = createUnread({ markers: createMarkers({ client, keys }), readMarkers });
  return {
    conversation: createConversation({
      recentMessages,
      messages,
      chats,
      withSenders: createWithSenders({ users }),
    }),
    chatDirectory: createChatDirectory({ directory, counters, chats, applications, unread }),
    applicationDirectory: createApplicationDirectory({ directory, counters, applications }),
  };
};

/** Stores accepted messages and settles them, as the consumer does. */
const persist = async (accepted: (string | undefined)[]) => {
  const uses = { ...stores, indexing: { handOn: async () => undefined } };
  const commands = accepted.map((command) => received(createMessageCommand, command));
  const { stored } = await persistMessage.store(uses, commands);
  await persistMessage.settle(uses, { stored, dead: [] });
};

/** Sends messages and lets the consumers handle them. */
const send = async (chatNumber: number, count: number) => {
  for (let i = 0; i < count; i += 1) {
    const body = `m${i + 1}`;
    const { command } = await stores.accept.message({
      token,
      chatNumber,
      senderId: ana,
      sender,
      senderName: 'ana',
      body,
      date,
    });
    await persist([command]);
  }
};
const newChat = async () => {
  const { result, command } = await stores.accept.chat({ token, creatorId: ana, title: 'title' });
  const chat = received(createChatCommand, command);
  await stores.chats.insert([chat]);
  await stores.settles['create-chat']({ stored: [chat], dead: [] });
  return { token, chatNumber: result };
};
const numbersOf = async (page: Promise<{ messages: { messageNumber: number }[] }>) =>
  (await page).messages.map(({ messageNumber }) => messageNumber);
const from = (first: number, count: number) => Array.from({ length: count }, (_, i) => first - i);
const unavailable = { code: 'unavailable' };
const notFound = { code: 'not-found' };
const answers = async (server: RunningService, ping: () => Promise<unknown>) => {
  const deadline = Date.now() + 20_000;
  while (
    !(await ping().then(
      () => true,
      () => false,
    ))
  ) {
    if (Date.now() > deadline) throw new Error(`${server.name} did not come back`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
};

beforeAll(async () => {
  stack = await startServices({
    stack: `test-outages-${process.pid}`,
    environment: {},
    report: silentReport,
    fresh: true,
    only: ['mysql', 'redis'],
  });
  if (!stack.services.mysql || !stack.services.redis) throw new Error('The servers did not start');
  ({ mysql, redis } = { mysql: stack.services.mysql, redis: stack.services.redis });
  stores = await openStores(stack.urls, 'outages', {
    timeoutMs: 5_000,
    through: (database) => ({
      ...database,
      select: (...args) => {
        queries += 1;
        return database.select(...args);
      },
      write: (...args) => {
        queries += 1;
        return database.write(...args);
      },
    }),
  });
  [ana = 0] = await stores.addUsers('ana');
  sender = (await stores.users.findHandles([ana])).get(ana);
  const { command } = await stores.accept.application({ token, name: 'name', creatorId: ana });
  await stores.applications.insert([received(createApplicationCommand, command)]);
}, 120_000);
afterAll(async () => {
  await stores?.close().catch(() => undefined);
  await stack?.stop();
});

describe('reads without a query to MySQL', () => {
  const quietly = async (work: () => Promise<unknown>) => {
    queries = 0;
    await work();
    expect(queries).toBe(0);
  };

  test('a warm chat, from its first message on, and again after one reader rebuilt its window', async () => {
    const chat = await newChat();
    const { conversation } = readers();
    await quietly(async () =>
      expect(await numbersOf(conversation.page(chat, { skip: 0, count: 11 }))).toEqual([]),
    );
    await send(chat.chatNumber, size);
    const pages = async () => {
      expect(await numbersOf(conversation.page(chat, { skip: 0, count: 11 }))).toEqual(from(size, 11));
      expect(await numbersOf(conversation.page(chat, { skip: 30, count: 11 }))).toEqual(from(10, 10));
      const before = { createdAtMs: Date.parse(date), messageNumber: 5 };
      expect(await numbersOf(conversation.page(chat, { before, skip: 0, count: 11 }))).toEqual(from(4, 4));
      expect((await conversation.message(chat, 3)).body).toBe('m3');
    };
    await quietly(pages);
    const { keys } = stores;
    await stores.redis.del(
      keys.windowOrder(token, chat.chatNumber),
      keys.windowEntries(token, chat.chatNumber),
    );
    await Promise.all([1, 2, 3, 4, 5].map(() => conversation.page(chat, { skip: 0, count: 11 })));
    await quietly(pages);
  });

  test('items that do not exist', async () => {
    const chat = await newChat();
    const { conversation, chatDirectory, applicationDirectory } = readers();
    await quietly(async () => {
      await expect(
        conversation.page({ token, chatNumber: 999 }, { skip: 0, count: 1 }),
      ).rejects.toMatchObject(notFound);
      await expect(conversation.message(chat, 1)).rejects.toMatchObject(notFound);
      await expect(chatDirectory.get(ana, token, 999)).rejects.toMatchObject(notFound);
      await expect(chatDirectory.list(ana, 'nothing', { skip: 0, count: 1 })).rejects.toMatchObject(notFound);
      await expect(applicationDirectory.get('nothing')).rejects.toMatchObject(notFound);
    });
  });
});

describe('a window', () => {
  test('of more messages than it holds is exact on both sides of its edge', async () => {
    const chat = await newChat();
    const count = 700;
    const accepted = await Promise.all(
      from(count, count).map(() =>
        stores.accept.message({ ...chat, senderId: ana, sender, senderName: 'ana', body: 'b', date }),
      ),
    );
    const { conversation } = readers();
    const whole = async () => {
      for (let skip = 0; skip < count; skip += 97) {
        expect(await numbersOf(conversation.page(chat, { skip, count: 97 }))).toEqual(
          from(count - skip, Math.min(97, count - skip)),
        );
      }
      let before = { createdAtMs: Date.parse(date), messageNumber: count + 1 };
      const read: number[] = [];
      const page = () => numbersOf(conversation.page(chat, { before, skip: 0, count: 90 }));
      for (let numbers = await page(); numbers.length > 0; ) {
        read.push(...numbers);
        before = { createdAtMs: Date.parse(date), messageNumber: read.at(-1) ?? 0 };
        numbers = await page();
      }
      expect(read).toEqual(from(count, count));
    };
    await whole();
    await persist(accepted.map(({ command }) => command));
    await whole();
    const { keys } = stores;
    await stores.redis.del(
      keys.windowOrder(token, chat.chatNumber),
      keys.windowEntries(token, chat.chatNumber),
    );
    await whole();
    expect(await stores.redis.zcard(keys.windowOrder(token, chat.chatNumber))).toBeLessThanOrEqual(300);
    expect(await stores.redis.ttl(keys.windowEntries(token, chat.chatNumber))).toBeGreaterThan(0);
  });

  test('does not count out a page below a thousand that are being stored, and leads there by cursor', async () => {
    const chat = await newChat();
    const count = 1_200;
    await Promise.all(
      from(count, count).map(() =>
        stores.accept.message({ ...chat, senderId: ana, sender, senderName: 'ana', body: 'b', date }),
      ),
    );
    const { conversation } = readers();
    await expect(conversation.page(chat, { skip: 1_100, count: 11 })).rejects.toMatchObject(unavailable);
    const before = { createdAtMs: Date.parse(date), messageNumber: 101 };
    expect(await numbersOf(conversation.page(chat, { before, skip: 0, count: 11 }))).toEqual(from(100, 11));
  });
});

describe('with MySQL killed', () => {
  test('warm newest pages are served and written, the rest is unavailable', async () => {
    const [warm, cold] = [await newChat(), await newChat()];
    await send(warm.chatNumber, size);
    await send(cold.chatNumber, 3);
    const { keys } = stores;
    await stores.redis.del(
      keys.windowOrder(token, cold.chatNumber),
      keys.windowEntries(token, cold.chatNumber),
    );
    const { conversation, chatDirectory, applicationDirectory } = readers();
    mysql.kill('SIGKILL');
    try {
      expect(await numbersOf(conversation.page(warm, { skip: 0, count: 11 }))).toEqual(from(size, 11));
      expect((await conversation.message(warm, 7)).body).toBe('m7');
      await expect(conversation.page(cold, { skip: 0, count: 11 })).rejects.toMatchObject(unavailable);
      await expect(conversation.message(cold, 1)).rejects.toMatchObject(unavailable);
      await expect(
        conversation.page({ token, chatNumber: 999 }, { skip: 0, count: 1 }),
      ).rejects.toMatchObject(notFound);
      await expect(chatDirectory.get(ana, token, warm.chatNumber)).rejects.toMatchObject(unavailable);
      expect(await applicationDirectory.get(token)).toMatchObject({ token, name: 'name' });
      const { result } = await stores.accept.message({
        ...warm,
        senderId: ana,
        sender,
        senderName: 'ana',
        body: 'meanwhile',
        date,
      });
      expect((await conversation.page(warm, { skip: 0, count: 1 })).messages[0]).toMatchObject({
        messageNumber: result,
        body: 'meanwhile',
      });
      // A Redis whose gate is closed may be an older copy, which lacks the deletion of a message.
      await stores.redis.hdel(keys.state, `run:${(await stores.client.connection()).server}`);
      await expect(conversation.message(warm, 7)).rejects.toMatchObject(unavailable);
      await expect(conversation.message(warm, result)).rejects.toMatchObject(unavailable);
      await expect(conversation.page(warm, { skip: 0, count: 1 })).rejects.toMatchObject(unavailable);
    } finally {
      await mysql.start();
    }
    await answers(mysql, () => stores.database.ping());
    await openGateOf(stores.gate);
    expect(await numbersOf(conversation.page(cold, { skip: 0, count: 11 }))).toEqual([3, 2, 1]);
  });
});

describe.each<[string, { lose: () => void; bringBack: () => Promise<void> }]>([
  ['killed', { lose: () => redis.kill('SIGKILL'), bringBack: () => redis.start() }],
  ['frozen', { lose: () => redis.pause(), bringBack: async () => redis.resume() }],
])('with Redis %s', (_how, { lose, bringBack }) => {
  test('reads come from MySQL, and from Redis again once its counters are recovered', async () => {
    const [chat, other] = [await newChat(), await newChat()];
    await send(chat.chatNumber, size);
    const impatient = createRedisClient(stack.urls.REDIS_URL, { timeoutMs: 400, onError: () => undefined });
    onTestFinished(() => impatient.close());
    const { conversation, chatDirectory, applicationDirectory } = readers(impatient);
    const accept = acceptingOn({ client: impatient, keys: stores.keys });
    const pages = async () => {
      expect(await numbersOf(conversation.page(chat, { skip: 0, count: 11 }))).toEqual(from(size, 11));
      expect(await numbersOf(conversation.page(chat, { skip: 35, count: 11 }))).toEqual(from(5, 5));
      expect((await conversation.message(chat, 7)).body).toBe('m7');
    };
    lose();
    try {
      await pages();
      expect(await chatDirectory.get(ana, token, chat.chatNumber)).toMatchObject({ title: 'title' });
      expect(
        (await applicationDirectory.list(ana, { skip: 0, count: 11 })).items.map(({ name }) => name),
      ).toEqual(['name']);
      // It may be on its way: that is not known without Redis.
      await expect(
        conversation.page({ token, chatNumber: 999 }, { skip: 0, count: 1 }),
      ).rejects.toMatchObject(unavailable);
      // A frozen server may take it later: an answer that never came promises nothing.
      await expect(
        accept.message({ ...other, senderId: ana, sender, senderName: 'ana', body: 'b', date }),
      ).rejects.toMatchObject(unavailable);
    } finally {
      await bringBack();
    }
    await answers(redis, () => stores.redis.ping());
    await answers(redis, async () => (await impatient.connection()).redis.ping());
    await pages();
    await openGateOf(stores.gate);
    await pages();
    queries = 0;
    await pages();
    expect(queries).toBe(0);
  });
});

describe('with Redis at its maxmemory', () => {
  test('no write is accepted, not even partly; reads continue, and stored commands leave', async () => {
    const chat = await newChat();
    const accept = () =>
      stores.accept.message({ ...chat, senderId: ana, sender, senderName: 'ana', body: 'b', date });
    const { command } = await accept();
    const { keys } = stores;
    const everything = async () => {
      const names = (await stores.redis.keys(`${keys.prefix}*`)).sort();
      const dumps = await Promise.all(names.map((name) => stores.redis.dumpBuffer(name)));
      return names.map((name, i) => `${name} ${dumps[i]?.toString('base64')}`);
    };
    // Keys of earlier writes, which may expire meanwhile.
    await stores.redis.del(...(await stores.redis.keys(`${keys.prefix}idempotency::*`)));
    const before = await everything();
    await stores.redis.config('SET', 'maxmemory', '1');
    try {
      const update = { ...chat, messageNumber: 1, body: 'e', date };
      await expect(accept()).rejects.toMatchObject(unavailable);
      await expect(stores.accept.messageUpdate(update, ana)).rejects.toMatchObject(unavailable);
      await expect(newChat()).rejects.toMatchObject(unavailable);
      const email = parseEmailAddress('ana@example.org') ?? expect.unreachable();
      const attempt = { email, source: '192.0.2.1' };
      const signIns = createSignInAttempts({ client: stores.client, keys, hash: (text) => text });
      await expect(signIns.attempt(attempt, async () => expect.unreachable())).rejects.toMatchObject(
        unavailable,
      );
      // The keys of earlier calls expire during the test, and no other key changes.
      const lasting = (dumps: string[]) => dumps.filter((dump) => !dump.includes(':idempotency::'));
      const after = await everything();
      expect(lasting(after)).toEqual(lasting(before));
      const known = new Set(before);
      expect(after.filter((dump) => !known.has(dump))).toEqual([]);
      const { conversation } = readers();
      expect(await numbersOf(conversation.page(chat, { skip: 0, count: 2 }))).toEqual([1]);
      await stores.messages.insert([received(createMessageCommand, command)]);
      await stores.redis.del(
        keys.windowOrder(token, chat.chatNumber),
        keys.windowEntries(token, chat.chatNumber),
      );
      expect(await numbersOf(conversation.page(chat, { skip: 0, count: 2 }))).toEqual([1]);
      expect(await stores.redis.exists(keys.windowEntries(token, chat.chatNumber))).toBe(0);
      await persist([command]);
      const { commandId } = JSON.parse(command ?? '');
      const left = await stores.outbox.commands('create-message', {
        after: commandId - 1,
        olderThan: commandId,
        count: 1,
      });
      expect(left).toEqual([]);
    } finally {
      await stores.redis.config('SET', 'maxmemory', '0');
    }
    expect((await accept()).result).toBe(2);
  });
});
