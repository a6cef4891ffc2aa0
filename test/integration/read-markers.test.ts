import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createApplicationCommand } from '#lib/contracts/commands/create-application.ts';
import { createChatCommand } from '#lib/contracts/commands/create-chat.ts';
import { type ChatReference, chatReference } from '#lib/domain/reference.ts';
import { createChatDirectory } from '#lib/reading/chats.ts';
import { createUnread } from '#lib/reading/unread.ts';
import { createMarkRead } from '#lib/writing/mark-read.ts';
import { createVerifyCounters } from '#lib/writing/verify-counters.ts';
import { syncCounts } from '../../functions/scheduled/sync-counts.ts';
import { type RunningService, type Stack, silentReport, startServices } from '../../local/services/index.ts';
import { received } from '../support/received.ts';
import { openGateOf, openStores, type Stores } from '../support/stores.ts';

/*
 * Servers of this file's own: they are killed, frozen and wiped.
 */

let stack: Stack;
let mysql: RunningService;
let redis: RunningService;
let stores: Stores;
let ana: number;
let bo: number;
let asked = 0;

const token = 'app';
const date = '2026-01-01T00:00:00.000Z';
const unavailable = { code: 'unavailable' };
const notFound = { code: 'not-found' };

const services = () => {
  const { client: _, directory, counters, chats, applications, markers, readMarkers, gate } = stores;
  const unread = createUnread({ markers, readMarkers });
  return {
    directory: createChatDirectory({ directory, counters, chats, applications, unread }),
    markRead: createMarkRead({
      markers,
      unread,
      verifyCounters: createVerifyCounters({ gate, numbers: stores.recoveryState }),
      askForRecovery: () => {
        asked += 1;
      },
    }),
  };
};
const read = (id: number, chat: ChatReference, messageNumber: number, generation = 0) =>
  services().markRead({ id, generation }, chat, messageNumber);
const unreadOf = async (userId: number, { chatNumber }: ChatReference): Promise<number> =>
  (await services().directory.get(userId, token, chatNumber)).unreadCount;
const listOf = async (userId: number, from: number, count: number): Promise<number[]> =>
  (await services().directory.list(userId, token, { skip: from - 1, count })).chats.map(
    ({ unreadCount }) => unreadCount,
  );

const pendingChat = async () => {
  const { result, command } = await stores.accept.chat({ token, creatorId: ana, title: 'title' });
  return { chat: { token, chatNumber: result }, creation: received(createChatCommand, command) };
};
const store = async (creation: Awaited<ReturnType<typeof pendingChat>>['creation']) => {
  await stores.chats.insert([creation]);
  await stores.settles['create-chat']({ stored: [creation], dead: [] });
};
const newChat = async (): Promise<ChatReference> => {
  const { chat, creation } = await pendingChat();
  await store(creation);
  return chat;
};
const send = async (senderId: number, chat: ChatReference, count = 1): Promise<void> => {
  for (let i = 0; i < count; i += 1)
    await stores.accept.message({ ...chat, senderId, senderName: 'name', body: 'b', date });
};
const sync = (more: { readMarkers?: Pick<Stores['readMarkers'], 'raise'> } = {}) =>
  syncCounts({ remainingMs: () => 10_000 }, { ...stores, now: () => Date.now() + 1_000, ...more });
const rowOf = async (userId: number, { chatNumber }: ChatReference): Promise<number | undefined> =>
  (await stores.readMarkers.find(userId, token, [chatNumber])).get(chatNumber)?.marker;
const hashOf = (userId: number) => stores.keys.readMarkers(userId, token);
const forget = (...userIds: number[]) => stores.redis.del(...userIds.map(hashOf));

/** Opens the gate as a recovery does that found a loss. MySQL has all chats, and the numbers given so far. */
const openAfterLoss = async () => {
  const clock = Number((await stores.redis.hget(stores.keys.state, 'clock')) ?? 0);
  await openGateOf(stores.gate, Math.max(clock, Date.now() * 1000) + 1);
};
/** Ends the verification, as the walk through all counters does. */
const verifyAll = async () => {
  const lost = (await stores.redis.hget(stores.keys.state, 'lost')) ?? '';
  await stores.gate.verify([{ token, count: await stores.recoveryState.highestChatNumber(token) }], lost);
  await stores.gate.saveProgress(undefined, lost);
};
const close = async () => {
  await stores.redis.hdel(stores.keys.state, `run:${(await stores.client.connection()).server}`);
};
const answers = async (ping: () => Promise<unknown>) => {
  const deadline = Date.now() + 20_000;
  while (
    !(await ping().then(
      () => true,
      () => false,
    ))
  ) {
    if (Date.now() > deadline) throw new Error('The server did not come back');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
};

beforeAll(async () => {
  stack = await startServices({
    stack: `test-markers-${process.pid}`,
    environment: {},
    report: silentReport,
    fresh: true,
    only: ['mysql', 'redis'],
  });
  if (!stack.services.mysql || !stack.services.redis) throw new Error('The servers did not start');
  ({ mysql, redis } = { mysql: stack.services.mysql, redis: stack.services.redis });
  stores = await openStores(stack.urls, 'markers', { timeoutMs: 5_000 });
  [ana = 0, bo = 0] = await stores.addUsers('ana', 'bo');
  const { command } = await stores.accept.application({ token, name: 'name', creatorId: ana });
  await stores.applications.insert([received(createApplicationCommand, command)]);
}, 120_000);
afterAll(async () => {
  await stores?.close().catch(() => undefined);
  await stack?.stop();
});

describe('a read marker', () => {
  test('belongs to one user, and only rises: a lower number answers the present one', async () => {
    const chat = await newChat();
    await send(ana, chat, 5);
    expect(await read(bo, chat, 3)).toEqual({ messageNumber: 3, unreadCount: 2 });
    expect(await read(bo, chat, 1)).toEqual({ messageNumber: 3, unreadCount: 2 });
    expect(await read(bo, chat, 3)).toEqual({ messageNumber: 3, unreadCount: 2 });
    expect(await read(ana, chat, 1)).toEqual({ messageNumber: 5, unreadCount: 0 });
    expect(await read(bo, chat, 5)).toEqual({ messageNumber: 5, unreadCount: 0 });
  });

  test('of many requests at once ends at the highest number', async () => {
    const chat = await newChat();
    await send(ana, chat, 40);
    const numbers = Array.from({ length: 40 }, (_, i) => ((i * 7) % 40) + 1);
    const replies = await Promise.all(numbers.map((number) => read(bo, chat, number)));
    for (const [i, { messageNumber }] of replies.entries())
      expect(messageNumber).toBeGreaterThanOrEqual(numbers[i] ?? 0);
    expect(await read(bo, chat, 1)).toEqual({ messageNumber: 40, unreadCount: 0 });
  });

  test('moves to the message that its user sends, and to nobody else', async () => {
    const chat = await newChat();
    await send(ana, chat, 3);
    expect([await unreadOf(ana, chat), await unreadOf(bo, chat)]).toEqual([0, 3]);
    await send(bo, chat);
    expect([await unreadOf(ana, chat), await unreadOf(bo, chat)]).toEqual([1, 0]);
  });

  test('is refused above the highest number, and in a chat that does not exist', async () => {
    const chat = await newChat();
    await expect(read(bo, chat, 1)).rejects.toMatchObject(notFound);
    await send(ana, chat, 2);
    await expect(read(bo, chat, 3)).rejects.toMatchObject(notFound);
    await expect(read(bo, { token, chatNumber: 9_999 }, 1)).rejects.toMatchObject(notFound);
    await expect(read(bo, { token: 'none', chatNumber: 1 }, 1)).rejects.toMatchObject(notFound);
    expect(await unreadOf(bo, chat)).toBe(2);
  });

  test('does not rise by an access token that has ended', async () => {
    const chat = await newChat();
    await send(ana, chat, 2);
    await stores.redis.set(stores.keys.generation(bo), 3);
    await expect(read(bo, chat, 1, 2)).rejects.toMatchObject({ code: 'unauthenticated' });
    expect(await unreadOf(bo, chat)).toBe(2);
    expect(await read(bo, chat, 1, 3)).toEqual({ messageNumber: 1, unreadCount: 1 });
    await stores.redis.del(stores.keys.generation(bo));
  });

  test('lives a day in Redis, however often it moves, and is read from MySQL after that', async () => {
    const chat = await newChat();
    await send(ana, chat, 9);
    await read(bo, chat, 4);
    await send(bo, chat);
    for (const userId of [ana, bo]) {
      expect(await stores.redis.ttl(hashOf(userId))).toBeGreaterThan(86_000);
      expect(await stores.redis.ttl(hashOf(userId))).toBeLessThanOrEqual(86_400);
    }
    await sync();
    await forget(ana, bo);
    expect([await unreadOf(ana, chat), await unreadOf(bo, chat)]).toEqual([1, 0]);
    expect(await read(ana, chat, 2)).toEqual({ messageNumber: 9, unreadCount: 1 });
    expect(await read(bo, chat, 2)).toEqual({ messageNumber: 10, unreadCount: 0 });
    // Redis keeps the marker of MySQL again, for a day.
    expect(await stores.redis.hget(hashOf(ana), String(chat.chatNumber))).toMatch(/^9 /);
    expect(await stores.redis.ttl(hashOf(ana))).toBeGreaterThan(86_000);
  });

  test('that expired before it was stored begins a hash that expires too', async () => {
    const chat = await newChat();
    await send(ana, chat);
    await forget(ana);
    await send(ana, chat);
    expect(await stores.redis.ttl(hashOf(ana))).toBeGreaterThan(86_000);
  });
});

describe('unread messages', () => {
  test('are counted in a list as in single chats, stored or pending, and never below 0 or above 1,000', async () => {
    const [first, second] = [await newChat(), await newChat()];
    const { chat: third } = await pendingChat();
    await send(ana, first, 2);
    await send(ana, third, 3);
    await read(bo, third, 1);
    await stores.redis.set(stores.keys.chatCounter(token, second.chatNumber), 1_500);
    await stores.redis.hset(hashOf(ana), String(first.chatNumber), '7 0');
    const single = async (userId: number) => [
      await unreadOf(userId, first),
      await unreadOf(userId, second),
      await unreadOf(userId, third),
    ];
    for (const [userId, expected] of [
      [ana, [0, 1_000, 0]],
      [bo, [2, 1_000, 2]],
    ] as const) {
      expect(await single(userId)).toEqual(expected);
      expect(await listOf(userId, first.chatNumber, 3)).toEqual(expected);
    }
    expect(await read(bo, second, 500)).toEqual({ messageNumber: 500, unreadCount: 1_000 });
    expect(await read(bo, second, 501)).toEqual({ messageNumber: 501, unreadCount: 999 });
  });

  test('leave out deleted ones above the marker, however many there are, and never count below 0', async () => {
    const chat = await newChat();
    const [row] = await stores.database.select('SELECT id FROM chats WHERE token = ? AND number = ?', [
      token,
      chat.chatNumber,
    ]);
    const remove = (...numbers: number[]) =>
      stores.database.write(
        `INSERT INTO message_deletions (chat_id, number) VALUES ${numbers.map(() => '(?, ?)').join(', ')}`,
        numbers.flatMap((number) => [row?.id ?? 0, number]),
      );
    const count = async () => {
      const single = await unreadOf(bo, chat);
      expect(await listOf(bo, chat.chatNumber, 1)).toEqual([single]);
      return single;
    };
    await send(ana, chat, 9);
    await remove(1, 4, 9);
    expect(await count()).toBe(6);
    expect(await read(bo, chat, 4)).toEqual({ messageNumber: 4, unreadCount: 4 });
    await remove(5, 6, 7, 8);
    expect(await count()).toBe(0);
    expect(await read(bo, chat, 9)).toEqual({ messageNumber: 9, unreadCount: 0 });
    // Redis may be behind MySQL after a loss: more deletions than messages.
    await remove(10, 11);
    expect(await count()).toBe(0);
    // A chat of many messages, of which the newest are deleted.
    await stores.redis.set(stores.keys.chatCounter(token, chat.chatNumber), 20_000);
    await remove(...Array.from({ length: 6_000 }, (_, i) => 14_001 + i));
    expect(await count()).toBe(1_000);
    await remove(...Array.from({ length: 13_489 }, (_, i) => 512 + i));
    // Above the marker: 12 to 511.
    expect(await count()).toBe(500);
  });

  test('of a list of 100 chats take one call for their markers', async () => {
    const first = await newChat();
    for (let i = 0; i < 99; i += 1) await newChat();
    let calls = 0;
    const { markers, readMarkers, directory, counters, chats, applications } = stores;
    const counting = {
      read: (...given: Parameters<typeof markers.read>) => {
        calls += 1;
        return markers.read(...given);
      },
    };
    const unread = createUnread({ markers: counting, readMarkers });
    const list = await createChatDirectory({ directory, counters, chats, applications, unread }).list(
      bo,
      token,
      { skip: first.chatNumber - 1, count: 100 },
    );
    expect(list.chats).toHaveLength(100);
    expect(calls).toBe(1);
  });
});

describe('a sync', () => {
  test('stores every marker once, and never lowers one', async () => {
    const chat = await newChat();
    await send(ana, chat, 6);
    await read(bo, chat, 4);
    expect((await sync()).markers).toBeGreaterThanOrEqual(2);
    expect([await rowOf(ana, chat), await rowOf(bo, chat)]).toEqual([6, 4]);
    expect((await sync()).markers).toBe(0);
    await stores.readMarkers.raise([{ userId: bo, ...chat, number: 2 }]);
    expect(await rowOf(bo, chat)).toBe(4);
  });

  test('that dies after its write leaves every mark, and the next one finds them', async () => {
    const chat = await newChat();
    await send(ana, chat, 2);
    const dying = {
      raise: async <Marker extends Parameters<Stores['readMarkers']['raise']>[0][number]>(
        markers: readonly Marker[],
      ): Promise<Marker[]> => {
        await stores.readMarkers.raise(markers);
        throw new Error('killed');
      },
    };
    await expect(sync({ readMarkers: dying })).rejects.toThrow('killed');
    expect((await sync()).markers).toBe(1);
    expect(await rowOf(ana, chat)).toBe(2);
  });

  test('keeps the mark of a marker that rises meanwhile', async () => {
    const chat = await newChat();
    await send(ana, chat, 3);
    await sync();
    await read(bo, chat, 1);
    const busy = {
      raise: async <Marker extends Parameters<Stores['readMarkers']['raise']>[0][number]>(
        markers: readonly Marker[],
      ): Promise<Marker[]> => {
        const raised = await stores.readMarkers.raise(markers);
        if ((await rowOf(bo, chat)) === 1) await read(bo, chat, 2);
        return raised;
      },
    };
    await sync({ readMarkers: busy });
    expect(await rowOf(bo, chat)).toBe(2);
  });

  test('keeps the mark in a chat that MySQL does not have yet', async () => {
    const { chat, creation } = await pendingChat();
    await send(ana, chat, 2);
    expect(await sync()).toMatchObject({ markers: 0 });
    expect(await rowOf(ana, chat)).toBeUndefined();
    await store(creation);
    expect((await sync()).markers).toBe(1);
    expect(await rowOf(ana, chat)).toBe(2);
  });

  test('brings no marker of an erased account back, and stores those of others', async () => {
    const chat = await newChat();
    const [cleo = 0] = await stores.addUsers('cleo');
    await send(ana, chat, 3);
    await read(cleo, chat, 2);
    await sync();
    await read(cleo, chat, 3);
    await read(bo, chat, 3);
    expect(await stores.users.erase({ id: cleo, passwordHash: '-' })).toBe(1);
    expect(await stores.users.finishErasure(cleo)).toBe(1);
    expect((await sync()).markers).toBe(2);
    expect([await rowOf(cleo, chat), await rowOf(bo, chat)]).toEqual([0, 3]);
    const left = await stores.redis.zrange(stores.keys.dirtyMarkers, '0', '-1');
    expect(left.filter((member) => member.startsWith(`${cleo}:`))).toEqual([]);
  });

  test('drops the mark of a marker that has expired', async () => {
    const chat = await newChat();
    await send(ana, chat);
    const neverStored = await pendingChat();
    await send(ana, neverStored.chat);
    await forget(ana);
    await sync();
    const left = await stores.redis.zrange(stores.keys.dirtyMarkers, '0', '-1');
    expect(left).not.toContain(`${ana}:${chatReference(neverStored.chat)}`);
    expect(await rowOf(ana, chat)).toBe(0);
    const member = `${ana}:${token}:${chat.chatNumber}`;
    expect(await stores.redis.zscore(stores.keys.dirtyMarkers, member)).toBeNull();
  });
});

describe('a loss of Redis', () => {
  test('closes the route until the gate is open, and asks for a recovery', async () => {
    const chat = await newChat();
    await send(ana, chat, 2);
    await close();
    asked = 0;
    await expect(read(bo, chat, 1)).rejects.toMatchObject(unavailable);
    expect(asked).toBe(1);
    await openGateOf(stores.gate);
    expect(await read(bo, chat, 1)).toMatchObject({ messageNumber: 1 });
  });

  test('verifies the counter before a marker rises, and takes a marker back by one sync at most', async () => {
    const chat = await newChat();
    await send(ana, chat, 5);
    await read(bo, chat, 2);
    await sync();
    await read(bo, chat, 4);
    // MySQL has the chat and its reservation of message 5, and Redis nothing.
    await stores.recoveryState.record({
      queue: 'create-message',
      highestId: 1,
      reserved: [{ ...chat, messageNumber: 5, commandId: 1 }],
      releasedIds: [],
    });
    await stores.redis.flushall();
    await openAfterLoss();
    expect(await unreadOf(bo, chat)).toBe(3);
    expect(await read(bo, chat, 1)).toEqual({ messageNumber: 2, unreadCount: 3 });
    await expect(read(bo, chat, 6)).rejects.toMatchObject(notFound);
    await expect(read(bo, { token, chatNumber: 9_999 }, 1)).rejects.toMatchObject(notFound);
    expect(await read(bo, chat, 5)).toEqual({ messageNumber: 5, unreadCount: 0 });
    await verifyAll();
  });

  test('that brings back older markers does not show them below those in MySQL', async () => {
    const chat = await newChat();
    await send(ana, chat, 5);
    await read(bo, chat, 2);
    const older = await stores.redis.hgetall(hashOf(bo));
    await read(bo, chat, 4);
    await sync();
    await stores.redis.del(hashOf(bo));
    await stores.redis.hset(hashOf(bo), older);
    await close();
    await openAfterLoss();
    await verifyAll();
    expect(await unreadOf(bo, chat)).toBe(1);
    expect(await listOf(bo, chat.chatNumber, 1)).toEqual([1]);
    expect(await read(bo, chat, 1)).toEqual({ messageNumber: 4, unreadCount: 1 });
  });

  test('that keeps newer markers than MySQL does not show them below those in Redis', async () => {
    const chat = await newChat();
    await send(ana, chat, 5);
    await read(bo, chat, 2);
    await sync();
    await read(bo, chat, 4);
    await close();
    await openAfterLoss();
    await verifyAll();
    expect(await read(bo, chat, 1)).toEqual({ messageNumber: 4, unreadCount: 1 });
    await sync();
    expect(await rowOf(bo, chat)).toBe(4);
  });
});

describe('with a server away', () => {
  test('without MySQL, markers that Redis knows rise, and pending chats are counted', async () => {
    const chat = await newChat();
    await send(ana, chat, 4);
    await read(bo, chat, 1);
    const { chat: pending } = await pendingChat();
    await send(ana, pending, 3);
    const other = await newChat();
    await send(ana, other, 2);
    mysql.kill('SIGKILL');
    try {
      expect(await read(bo, chat, 3)).toEqual({ messageNumber: 3, unreadCount: 1 });
      expect(await read(bo, chat, 2)).toEqual({ messageNumber: 3, unreadCount: 1 });
      expect(await unreadOf(bo, pending)).toBe(3);
      expect(await unreadOf(ana, pending)).toBe(0);
      expect(await listOf(bo, pending.chatNumber, 1)).toEqual([3]);
      // Only MySQL knows the marker.
      await expect(read(bo, other, 1)).rejects.toMatchObject(unavailable);
    } finally {
      await mysql.start();
    }
    await answers(() => stores.database.ping());
    expect(await read(bo, other, 1)).toEqual({ messageNumber: 1, unreadCount: 1 });
  });

  test('without Redis, counts and markers come from MySQL, and none rises', async () => {
    const chat = await newChat();
    await send(ana, chat, 5);
    await read(bo, chat, 2);
    await sync();
    redis.kill('SIGKILL');
    try {
      expect(await unreadOf(bo, chat)).toBe(3);
      expect(await listOf(bo, chat.chatNumber, 1)).toEqual([3]);
      await expect(read(bo, chat, 4)).rejects.toMatchObject(unavailable);
    } finally {
      await redis.start();
    }
    await answers(async () => (await stores.client.connection()).redis.ping());
    await openGateOf(stores.gate);
    expect(await read(bo, chat, 4)).toEqual({ messageNumber: 4, unreadCount: 1 });
  });
});
