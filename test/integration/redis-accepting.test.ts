import { randomUUID } from 'node:crypto';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { afterAll, describe, expect, inject, onTestFinished, test } from 'vitest';
import { NUMBER_STEP } from '#lib/domain/change.ts';
import { limits } from '#lib/domain/limits.ts';
import { createSettles } from '#lib/redis/commands/all.ts';
import { createOutbox } from '#lib/redis/commands/outbox.ts';
import { createRedisClient } from '#lib/redis/connection/client.ts';
import { createCounters } from '#lib/redis/gate/counters.ts';
import { createGate } from '#lib/redis/gate/gate.ts';
import { createKeys } from '#lib/redis/script/keys.ts';
import { createOutdatedWindows } from '#lib/redis/window/outdated-windows.ts';
import { createMarkers } from '#lib/redis/window/read-markers.ts';
import { syncCounts } from '../../functions/scheduled/sync-counts.ts';
import { acceptingOn } from '../support/accepting.ts';
import { created } from '../support/commands.ts';
import { depthsOf } from '../support/depths.ts';
import { digestOf } from '../support/received.ts';
import { openDirect, openGateOf } from '../support/stores.ts';

const url = inject('urls').REDIS_URL;
const date = '2026-01-01T00:00:00.000Z';
const ignore = () => undefined;
const client = createRedisClient(url, {
  timeoutMs: 10_000,
  keyPrefix: inject('names').keyPrefix,
  onError: ignore,
});
const redis = await openDirect(client);

/** A cell of its own on the same server. */
const newCell = async ({ open = true } = {}) => {
  const keys = createKeys(`${inject('names').keyPrefix}${randomUUID()}:`);
  const counters = createCounters({ client, keys });
  const gate = createGate({ client, keys });
  if (open) await openGateOf(gate);
  return {
    client,
    keys,
    counters,
    markers: createMarkers({ client, keys }),
    gate,
    accept: acceptingOn({ client, keys }),
    outbox: createOutbox({ client, keys }),
    settles: createSettles({ client, keys }),
  };
};
type Cell = Awaited<ReturnType<typeof newCell>>;

const ana = 7;
const token = 'app';
const by = (key: string | undefined, fingerprint: string) =>
  key === undefined ? undefined : { key, fingerprint };
const application = ({ accept }: Pick<Cell, 'accept'>, of = token, key?: string) =>
  accept.application({ token: of, name: of, creatorId: ana }, by(key, 'an application'));
const chat = ({ accept }: Pick<Cell, 'accept'>, of = token, key?: string) =>
  accept.chat({ token: of, creatorId: ana }, by(key, `a chat of ${of}`));
const message = ({ accept }: Pick<Cell, 'accept'>, chatNumber = 1, key?: string, body = 'b') =>
  accept.message(
    { token, chatNumber, senderId: ana, senderName: 'ana', body, date },
    by(key, `${body} in ${chatNumber}`),
  );
const edit = ({ accept }: Pick<Cell, 'accept'>, messageNumber: number, callerId = ana, senderId?: number) =>
  accept.messageUpdate({ token, chatNumber: 1, messageNumber, body: 'e' }, callerId, senderId);
const oneToN = (n: number) => Array.from({ length: n }, (_, i) => i + 1);
const inOrder = (numbers: number[]) => numbers.sort((a, b) => a - b);
const everything = async (keys: Cell['keys']) => {
  const all: string[] = [];
  for await (const found of redis.scanStream({ match: `${keys.prefix}*`, count: 1_000 })) all.push(...found);
  const dumps = await Promise.all(all.sort().map(async (key) => [key, await redis.dumpBuffer(key)] as const));
  return dumps.map(([key, dump]) => `${key} ${dump?.toString('base64')}`);
};

afterAll(() => {
  client.close();
  redis.disconnect();
});

describe('accepting', () => {
  test('numbers 1…n, beside any other writers', async () => {
    const cell = await newCell();
    await application(cell);
    const chats = await Promise.all(oneToN(200).map(() => chat(cell)));
    expect(inOrder(chats.map(({ result }) => result))).toEqual(oneToN(200));
    const others = oneToN(3).map(() =>
      createRedisClient(url, { timeoutMs: 10_000, keyPrefix: inject('names').keyPrefix, onError: ignore }),
    );
    onTestFinished(() => {
      for (const other of others) other.close();
    });
    const cells = others.map((other) => ({
      accept: acceptingOn({ client: other, keys: cell.keys }),
    }));
    const messages = await Promise.all(cells.flatMap((each) => oneToN(100).map(() => message(each))));
    expect(inOrder(messages.map(({ result }) => result))).toEqual(oneToN(300));
    const ids = messages.map(({ command }) => JSON.parse(command ?? '').commandId);
    expect(new Set(ids).size).toBe(300);
    expect(await depthsOf(cell, ['create-chat', 'create-message'])).toMatchObject({
      'create-chat': 200,
      'create-message': 300,
    });
  });

  test('gives ids that grow with the numbers, and names the command as it is kept', async () => {
    const cell = await newCell();
    await application(cell);
    await chat(cell);
    const accepted = await Promise.all(oneToN(20).map(() => message(cell)));
    const kept = await cell.outbox.commands('create-message', { after: 0, olderThan: 9e15, count: 100 });
    expect(kept.map(({ command }) => command)).toEqual(accepted.map(({ command }) => command));
    expect(kept.map(({ command }) => JSON.parse(command).messageNumber)).toEqual(oneToN(20));
    expect(kept.map(({ command }) => JSON.parse(command).commandId)).toEqual(
      kept.map(({ commandId }) => commandId),
    );
  });

  test('a message that makes the script fail takes no other of its turn with it', async () => {
    const cell = await newCell();
    await application(cell);
    await chat(cell);
    await chat(cell);
    // The script finds another type here after it has numbered the message.
    await redis.set(cell.keys.pendingOrder(token, 2), 'not a sorted set');
    const accepted = await Promise.all([message(cell, 1), message(cell, 2), message(cell, 1)]);
    expect(accepted.map(({ result }) => result)).toEqual([1, 1, 2]);
    const kept = await cell.outbox.commands('create-message', { after: 0, olderThan: 9e15, count: 100 });
    expect(kept.map(({ command }) => command).sort()).toEqual(
      accepted.map(({ command }) => command ?? '').sort(),
    );
    expect(await redis.zcard(cell.keys.pendingOrder(token, 1))).toBe(2);
    expect(
      inOrder((await redis.hkeys(cell.keys.windowEntries(token, 1))).map(Number).filter(Boolean)),
    ).toEqual([1, 2]);
  });

  test('refuses each message of a turn for its own reason', async () => {
    const cell = await newCell();
    await application(cell);
    await chat(cell);
    await chat(cell);
    await redis.set(cell.keys.chatCounter(token, 2), limits.number - 1);
    const outcomes = await Promise.allSettled([
      message(cell, 3),
      message(cell, 1, 'key', 'one'),
      message(cell, 2),
      message(cell, 1, 'key', 'another'),
      message(cell, 1),
    ]);
    expect(
      outcomes.map((outcome) =>
        outcome.status === 'fulfilled' ? outcome.value.result : outcome.reason.code,
      ),
    ).toEqual(['not-found', 1, 'conflict', 'unprocessable', 2]);
  });

  test('answers a repeated key with the first answer, and with the command while it is on its way', async () => {
    const cell = await newCell();
    const first = await application(cell, 'one', 'key');
    expect(await application(cell, 'two', 'key')).toEqual(first);
    await application(cell);
    const chats = await Promise.all(oneToN(20).map(() => chat(cell, token, 'of a chat')));
    expect(new Set(chats.map(({ result }) => result))).toEqual(new Set([1]));
    expect(new Set(chats.map(({ command }) => command)).size).toBe(1);
    const messages = await Promise.all(oneToN(20).map(() => message(cell, 1, 'of a message')));
    expect(new Set(messages.map(({ result }) => result))).toEqual(new Set([1]));
    const command = messages[0]?.command;
    const { commandId } = JSON.parse(command ?? '');
    const settled = { token, chatNumber: 1, messageNumber: 1, commandId, digest: digestOf(command) };
    await cell.settles['create-message']({
      stored: [{ ...settled, createdAtMs: 0, version: commandId }],
      dead: [],
    });
    expect(await message(cell, 1, 'of a message')).toMatchObject({ result: 1, command: undefined });
    const other = await cell.accept.message(
      { token, chatNumber: 1, senderId: 8, senderName: 'bo', body: 'b', date },
      by('of a message', 'b in 1'),
    );
    expect(other.result).toBe(2);
  });

  test('refuses a key that the user has used for another request, on any route', async () => {
    const cell = await newCell();
    await application(cell, token, 'key');
    await chat(cell, token, 'of a chat');
    const before = await everything(cell.keys);
    const reused = { code: 'unprocessable' };
    await expect(chat(cell, token, 'key')).rejects.toMatchObject(reused);
    await expect(message(cell, 1, 'key')).rejects.toMatchObject(reused);
    await expect(message(cell, 9, 'of a chat')).rejects.toMatchObject(reused);
    await expect(chat(cell, 'another', 'of a chat')).rejects.toMatchObject(reused);
    expect(await everything(cell.keys)).toEqual(before);
  });

  test('refuses a write that it cannot number, and changes nothing', async () => {
    const cell = await newCell();
    await application(cell);
    await chat(cell);
    await message(cell);
    const before = await everything(cell.keys);
    await expect(chat(cell, 'unknown')).rejects.toMatchObject({ code: 'not-found' });
    await expect(message(cell, 2)).rejects.toMatchObject({ code: 'not-found' });
    await expect(edit(cell, 2)).rejects.toMatchObject({ code: 'not-found' });
    await expect(edit(cell, 1, 8)).rejects.toMatchObject({ code: 'forbidden' });
    await expect(cell.accept.applicationUpdate({ token: 'unknown', name: 'n' }, ana)).rejects.toMatchObject({
      code: 'not-found',
    });
    await expect(cell.accept.applicationUpdate({ token, name: 'n' }, 8)).rejects.toMatchObject({
      code: 'forbidden',
    });
    expect(await everything(cell.keys)).toEqual(before);
  });

  test('asks for the owner when it has forgotten, and takes it then', async () => {
    const cell = await newCell();
    await application(cell);
    await chat(cell);
    const { command } = await message(cell);
    const { commandId } = JSON.parse(command ?? '');
    await cell.settles['create-message']({
      stored: [
        {
          token,
          chatNumber: 1,
          messageNumber: 1,
          commandId,
          digest: digestOf(command),
          createdAtMs: Date.parse(date),
          version: commandId,
        },
      ],
      dead: [],
    });
    expect(await edit(cell, 1)).toBeDefined();
    await redis.del(cell.keys.windowOrder(token, 1), cell.keys.windowEntries(token, 1));
    expect(await edit(cell, 1)).toBeUndefined();
    await expect(edit(cell, 1, 8, ana)).rejects.toMatchObject({ code: 'forbidden' });
    expect(await edit(cell, 1, ana, ana)).toBeDefined();
    await redis.del(cell.keys.application(token));
    const rename = { token, name: 'n' };
    expect(await cell.accept.applicationUpdate(rename, ana)).toBeUndefined();
    expect(await cell.accept.applicationUpdate(rename, ana, ana)).toBeDefined();
  });
});

describe('a connection that dies before the answer, or leads to the wrong server', () => {
  /**
   * A proxy. Once `cut` is set, the next answer is lost together with its connection. A `demoted` connection leads to a
   * server that has become a replica.
   */
  const unreliable = async () => {
    const target = new URL(url);
    const sockets = new Set<Socket>();
    const proxy: { cut: boolean; cuts: number; demoted: Set<Socket>; server: Server } = {
      cut: false,
      cuts: 0,
      demoted: new Set(),
      server: createServer(),
    };
    proxy.server.on('connection', (client) => {
      const server = connect(Number(target.port), target.hostname);
      for (const socket of [client, server]) {
        sockets.add(socket);
        socket.on('error', ignore);
        socket.on('close', () => {
          client.destroy();
          server.destroy();
        });
      }
      client.on('data', (data) => {
        if (proxy.demoted.has(client))
          client.write("-READONLY You can't write against a read only replica.\r\n");
        else server.write(data);
      });
      server.on('data', (data) => {
        if (proxy.cut) {
          proxy.cut = false;
          proxy.cuts += 1;
          client.destroy();
        } else client.write(data);
      });
    });
    await new Promise<void>((resolve) => proxy.server.listen(0, '127.0.0.1', resolve));
    const address = proxy.server.address();
    const through = new URL(url);
    through.port = String(typeof address === 'object' ? address?.port : '');
    const own = createRedisClient(through.href, {
      timeoutMs: 2_000,
      keyPrefix: inject('names').keyPrefix,
      onError: ignore,
    });
    onTestFinished(() => {
      own.close();
      for (const socket of sockets) socket.destroy();
      proxy.server.close();
    });
    await own.connection();
    return { proxy, sockets, client: own };
  };

  test('the same number comes on the next one, given once', async () => {
    const cell = await newCell();
    await application(cell);
    await chat(cell);
    const { proxy, client: own } = await unreliable();
    const accept = acceptingOn({ client: own, keys: cell.keys });
    for (const number of oneToN(5)) {
      await own.connection();
      proxy.cut = true;
      expect((await message({ accept })).result).toBe(number);
    }
    expect(proxy.cuts).toBe(5);
    expect((await cell.counters.read([{ token, chatNumber: 1 }]))[0]).toBe(5);
    expect((await depthsOf(cell, ['create-message']))['create-message']).toBe(5);
  });

  test('after a failover the next write finds the new primary', async () => {
    const cell = await newCell();
    await application(cell);
    await chat(cell);
    const { proxy, sockets, client: own } = await unreliable();
    const accept = acceptingOn({ client: own, keys: cell.keys });
    expect((await message({ accept })).result).toBe(1);
    // The name leads to another server now; the old one lives on, and keeps its connections.
    for (const socket of sockets) proxy.demoted.add(socket);
    expect((await message({ accept })).result).toBe(2);
  });
});

describe('the gate', () => {
  const serverOf = async () => (await client.connection()).server;

  test('is closed on a server that knows nothing', async () => {
    const cell = await newCell({ open: false });
    await expect(application(cell)).rejects.toMatchObject({ message: 'closed' });
    await expect(chat(cell)).rejects.toMatchObject({ message: 'closed' });
    await expect(message(cell)).rejects.toMatchObject({ message: 'closed' });
    await expect(edit(cell, 1)).rejects.toMatchObject({ message: 'closed' });
    await expect(cell.accept.applicationUpdate({ token, name: 'n' }, ana)).rejects.toMatchObject({
      message: 'closed',
    });
    expect(await everything(cell.keys)).toEqual([]);
    expect(await cell.counters.read([{ token }])).toEqual(['unknown']);
    expect((await cell.gate.status()).isOpen).toBe(false);
    await openGateOf(cell.gate);
    expect((await cell.gate.status()).isOpen).toBe(true);
    expect((await application(cell)).result).toBe(token);
  });

  test('is open for one run of the server only, and after a loss for none', async () => {
    const cell = await newCell();
    await application(cell);
    await redis.hdel(cell.keys.state, `run:${await serverOf()}`);
    await redis.hset(cell.keys.state, 'run:the run before', 1);
    await expect(chat(cell)).rejects.toMatchObject({ message: 'closed' });
    await openGateOf(cell.gate);
    expect(await redis.hexists(cell.keys.state, 'run:the run before')).toBe(0);
    expect((await chat(cell)).result).toBe(1);
    await redis.del(cell.keys.state, cell.keys.applicationCounter(token));
    await expect(chat(cell)).rejects.toMatchObject({ message: 'closed' });
  });

  test('is opened by the latest attempt only, and by none that Redis has lost', async () => {
    const { gate, keys } = await newCell({ open: false });
    const opening = { witness: 0, found: 0, start: 1 };
    const [one, other] = [await gate.attempt(), await gate.attempt()];
    expect(await one.begin()).toBe('begun');
    expect(await other.begin()).toBe('busy');
    await redis.hset(keys.state, 'attempt-at', 1);
    expect(await other.begin()).toBe('begun');
    expect(await one.isCurrent()).toBe(false);
    expect(await one.open(1, opening)).toBe('superseded');
    await redis.del(keys.state);
    expect(await other.open(2, opening)).toBe('superseded');
    expect(await other.begin()).toBe('begun');
    await other.end();
    expect(await one.begin()).toBe('begun');
    expect(await one.open(3, opening)).toBe('open');
    expect(await other.begin()).toBe('open');
  });

  test('tells whether it is open in the epoch of a command', async () => {
    const cell = await newCell();
    const { epoch } = await application(cell);
    expect(await cell.gate.isOpenIn(epoch)).toBe(true);
    expect(await cell.gate.isOpenIn('7777')).toBe(false);
    await redis.del(cell.keys.state);
    expect(await cell.gate.isOpenIn(epoch)).toBe(false);
    await openGateOf(cell.gate);
    expect(await cell.gate.isOpenIn(epoch)).toBe(false);
  });

  test('asks for a recovery once in a while', async () => {
    const { gate } = await newCell();
    const answers = await Promise.all(oneToN(10).map(() => gate.isFirstToAsk()));
    expect(answers.filter(Boolean)).toHaveLength(1);
  });
});

describe('after a loss', () => {
  /** Simulates an older copy of Redis, or an empty one: consumers have handled a command that it does not know. */
  const lose = async ({ gate, keys }: Cell): Promise<string> => {
    await redis.hdel(keys.state, `run:${(await client.connection()).server}`);
    await openGateOf(gate, Number((await redis.hget(keys.state, 'clock')) ?? 0) + 1);
    return (await redis.hget(keys.state, 'verifying')) ?? '';
  };

  test('ids continue above every handled id', async () => {
    const cell = await newCell();
    await application(cell);
    await redis.hdel(cell.keys.state, `run:${(await client.connection()).server}`);
    const witness = Date.now() * 1000 + 60_000_000;
    await openGateOf(cell.gate, witness);
    const { command } = await application(cell, 'next');
    const { commandId } = JSON.parse(command ?? '');
    expect(commandId).toBeGreaterThan(witness);
    expect(commandId).toBeLessThanOrEqual(witness + 2 * NUMBER_STEP);
  });

  test('a counter is used only once it was compared with MySQL', async () => {
    const cell = await newCell();
    await application(cell);
    await chat(cell);
    await message(cell);
    const lost = await lose(cell);
    const unverified = { message: 'unverified' };
    await expect(chat(cell)).rejects.toMatchObject(unverified);
    await expect(message(cell)).rejects.toMatchObject(unverified);
    await expect(message(cell, 9)).rejects.toMatchObject(unverified);
    await expect(edit(cell, 1)).rejects.toMatchObject(unverified);
    await expect(cell.accept.applicationUpdate({ token, name: 'n' }, ana)).rejects.toMatchObject(unverified);
    expect(await cell.counters.read([{ token }, { token, chatNumber: 9 }])).toEqual(['unknown', 'unknown']);
    expect(await cell.gate.verify([{ token, chatNumber: 1, count: 5 }], lost)).toBe('verified');
    // The chat exists as long as its application does.
    await expect(message(cell)).rejects.toMatchObject(unverified);
    // MySQL does not know the application, but Redis does, so it is pending.
    expect(await cell.gate.verify([{ token, count: undefined }], lost)).toBe('verified');
    expect((await message(cell)).result).toBe(6);
    expect((await chat(cell)).result).toBe(2);
    expect((await message(cell, 2)).result).toBe(1);
    expect(await cell.gate.verify([{ token, chatNumber: 9, count: undefined }], lost)).toBe('missing');
    expect(await cell.gate.verify([{ token: 'stored', count: 0 }], lost)).toBe('verified');
    expect((await chat(cell, 'stored')).result).toBe(1);
    expect((await application(cell, 'new')).result).toBe('new');
    expect((await chat(cell, 'new')).result).toBe(1);
  });

  test('a verification for an earlier loss does not count for a later one', async () => {
    const cell = await newCell();
    await application(cell);
    const first = await lose(cell);
    expect(await cell.gate.verify([{ token, count: 3 }], first)).toBe('verified');
    const second = await lose(cell);
    expect(await cell.gate.verify([{ token, count: 4 }], first)).toBe('closed');
    expect(await cell.gate.raise([{ token, count: 4 }], first)).toBeUndefined();
    expect(await cell.gate.saveProgress(undefined, first)).toBe(false);
    await expect(chat(cell)).rejects.toMatchObject({ message: 'unverified' });
    expect(await cell.gate.verify([{ token, count: 8 }], second)).toBe('verified');
    expect((await chat(cell)).result).toBe(9);
  });

  test('windows from before the loss are removed, and later ones stay', async () => {
    const cell = await newCell();
    await application(cell);
    await chat(cell);
    await chat(cell);
    await message(cell, 1);
    await message(cell, 2);
    const lost = await lose(cell);
    const windows = () =>
      redis.exists(
        ...[1, 2].flatMap((n) => [cell.keys.windowOrder(token, n), cell.keys.windowEntries(token, n)]),
      );
    expect(await windows()).toBe(4);
    await redis.hset(cell.keys.windowEntries(token, 2), 'epoch', lost);
    await createOutdatedWindows({ client, keys: cell.keys }).drop(
      [1, 2, 3].map((chatNumber) => ({ token, chatNumber })),
    );
    expect(await windows()).toBe(2);
    expect(await redis.exists(cell.keys.windowEntries(token, 2))).toBe(1);
  });

  test('counters are raised and never lowered, and all are trusted when all were compared', async () => {
    const cell = await newCell();
    await application(cell);
    const lost = await lose(cell);
    const chatOne = { token, chatNumber: 1 };
    const raise = (ofApplication: number, ofChat: number) =>
      cell.gate.raise(
        [
          { token, count: ofApplication },
          { ...chatOne, count: ofChat },
        ],
        lost,
      );
    expect(await raise(5, 9)).toBe(2);
    expect(await raise(4, 10)).toBe(1);
    const progress = { reservations: 1, applications: 2, chats: 3 };
    expect(await cell.gate.saveProgress(progress, lost)).toBe(true);
    expect(await cell.gate.status()).toEqual({ isOpen: true, verifying: { lost, progress } });
    expect(await cell.gate.saveProgress(undefined, lost)).toBe(true);
    expect(await cell.gate.status()).toEqual({ isOpen: true, verifying: undefined });
    expect(await cell.counters.read([{ token }, chatOne, { token: 'none' }])).toEqual([5, 10, 'missing']);
    const dirty = await cell.counters.dirty('chats', { until: Date.now() + 1_000, skip: 0, count: 10 });
    expect(dirty).toEqual([{ ...chatOne, count: 10 }]);
  });
});

describe('numbers near their end', () => {
  test('are refused before one is given that cannot be stored', async () => {
    const cell = await newCell();
    await application(cell);
    await chat(cell);
    await redis.set(cell.keys.chatCounter(token, 1), limits.number - 2);
    expect((await message(cell)).result).toBe(limits.number - 1);
    await expect(message(cell)).rejects.toMatchObject({ code: 'conflict' });
    await redis.set(cell.keys.applicationCounter(token), limits.number - 1);
    await expect(chat(cell)).rejects.toMatchObject({ code: 'conflict' });
  });
});

describe('counts to sync', () => {
  const stored = new Map<string, number>();
  const write = async <Count extends { token: string; chatNumber?: number; count: number }>(
    counts: readonly Count[],
  ) => {
    for (const { token, chatNumber, count } of counts) stored.set(`${token}:${chatNumber ?? ''}`, count);
    return [...counts];
  };
  const uses = (cell: Cell, more: { onWritten?: () => Promise<void> } = {}) => ({
    counters: cell.counters,
    markers: cell.markers,
    readMarkers: { raise: async <Marker>(markers: readonly Marker[]) => [...markers] },
    now: () => Date.now() + 1_000,
    applications: { raiseChatsCounts: write },
    chats: {
      raiseMessagesCounts: async <Count extends { token: string; chatNumber: number; count: number }>(
        counts: readonly Count[],
      ) => {
        const written = await write(counts);
        await more.onWritten?.();
        return written;
      },
    },
  });
  const run = { remainingMs: () => 10_000 };

  test('a sync that dies after its update leaves every mark, and the next one finds them', async () => {
    const cell = await newCell();
    await application(cell);
    await chat(cell);
    await message(cell);
    stored.clear();
    const dying = uses(cell, {
      onWritten: async () => {
        throw new Error('killed');
      },
    });
    await expect(syncCounts(run, dying)).rejects.toThrow('killed');
    expect(await syncCounts(run, uses(cell))).toMatchObject({ chats: 1 });
    expect(stored.get('app:1')).toBe(1);
    expect(await syncCounts(run, uses(cell))).toMatchObject({ applications: 0, chats: 0 });
  });

  test('a chat that never rests keeps its mark and does not delay others', async () => {
    const cell = await newCell();
    await application(cell);
    for (const _ of oneToN(3)) await chat(cell);
    for (const number of oneToN(3)) await message(cell, number);
    stored.clear();
    // Marks carry the time of the server in microseconds. The last mark may be later than the start of this
    // millisecond, so the limit is the next one.
    const now = Date.now() + 1;
    const busy = {
      ...uses(cell, {
        onWritten: async () => {
          await message(cell, 1);
        },
      }),
      now: () => now,
    };
    expect((await syncCounts(run, busy)).chats).toBeGreaterThanOrEqual(3);
    expect([stored.get('app:2'), stored.get('app:3')]).toEqual([1, 1]);
    await syncCounts(run, uses(cell));
    expect(stored.get('app:1')).toBe((await cell.counters.read([{ token, chatNumber: 1 }]))[0]);
  });
});

test('settling messages of several chats in one call empties the outbox, and hands on all but the dead one', async () => {
  const cell = await newCell();
  await application(cell);
  await chat(cell);
  await chat(cell);
  const accepted = [
    await message(cell, 1),
    await message(cell, 2),
    await message(cell, 1),
    await message(cell, 2),
  ];
  const settled = accepted.map(({ command }, at) => {
    const { chatNumber, messageNumber, commandId } = JSON.parse(command ?? '');
    const digest = digestOf(command);
    const one = { token, chatNumber, messageNumber, commandId, digest, createdAtMs: Date.parse(date) };
    return { isDead: at === 2, one: { ...one, version: commandId } };
  });
  const of = (dead: boolean) => settled.flatMap(({ isDead, one }) => (isDead === dead ? [one] : []));
  await cell.settles['create-message']({ stored: of(false), dead: of(true) });
  expect(await depthsOf(cell, ['create-message'])).toMatchObject({ 'create-message': 0 });
  const waiting = await cell.outbox.unindexed({ after: 0, olderThan: 9e15, count: 10 });
  expect(waiting.map(({ chatNumber, messageNumber }) => `${chatNumber}:${messageNumber}`)).toEqual([
    '1:1',
    '2:1',
    '2:2',
  ]);
  const { pendingOrder, pendingIds, windowEntries } = cell.keys;
  const pending = [1, 2].flatMap((number) => [pendingOrder(token, number), pendingIds(token, number)]);
  expect(await redis.exists(pending)).toBe(0);
  // A window that shows a dead message ends.
  expect(await redis.exists(windowEntries(token, 1))).toBe(0);
  expect(await redis.exists(windowEntries(token, 2))).toBe(1);
});

describe('settling commands of another program', () => {
  const named = { ...created(5), token, creatorId: ana };

  test('raises the counter to the stored number, so that it is not given again', async () => {
    const cell = await newCell();
    await cell.settles['create-application']({ stored: [named], dead: [] });
    await cell.settles['create-chat']({ stored: [{ ...named, chatNumber: 3 }], dead: [] });
    const at = { ...named, chatNumber: 3, messageNumber: 8 };
    await cell.settles['create-message']({ stored: [at], dead: [] });
    expect((await chat(cell)).result).toBe(4);
    expect((await message(cell, 3)).result).toBe(9);
    const dirty = await cell.counters.dirty('chats', { until: Date.now() + 1_000, skip: 0, count: 10 });
    expect(dirty).toContainEqual({ token, chatNumber: 3, count: 9 });
  });

  test('makes no parent of a dead command', async () => {
    const cell = await newCell();
    await cell.settles['create-application']({ stored: [], dead: [named] });
    await cell.settles['create-chat']({ stored: [], dead: [{ ...named, chatNumber: 3 }] });
    await cell.settles['create-message']({
      stored: [],
      dead: [{ ...named, chatNumber: 3, messageNumber: 8 }],
    });
    expect(await cell.counters.read([{ token }, { token, chatNumber: 3 }])).toEqual(['missing', 'missing']);
  });
});

describe('a command with the id of a pending one', () => {
  /** Every accepted command of a new cell, and all that Redis holds about them. */
  const givenPending = async () => {
    const cell = await newCell();
    const accepted = [await application(cell), await chat(cell), await message(cell)];
    const renamed = await cell.accept.applicationUpdate({ token, name: 'new' }, ana, ana);
    const edited = await edit(cell, 1);
    const [create, createChat, createMessage, update, updateMessage] = [...accepted, renamed, edited].map(
      (one) => {
        const content = one?.command;
        return { commandId: Number(JSON.parse(content ?? '').commandId), content };
      },
    );
    if (!create || !createChat || !createMessage || !update || !updateMessage) return expect.unreachable();
    return { cell, create, createChat, createMessage, update, updateMessage };
  };
  const place = { token, chatNumber: 1, messageNumber: 1, creatorId: ana, createdAtMs: Date.parse(date) };

  test.each([
    ['without a digest, as of another program', undefined],
    ['with the digest of another text', digestOf('another text')],
  ])('that is dead changes nothing: %s', async (_what, digest) => {
    const { cell, create, createChat, createMessage, update, updateMessage } = await givenPending();
    const before = await everything(cell.keys);
    const of = ({ commandId }: typeof create) => ({ ...place, commandId, version: commandId, digest });
    const { outbox, settles } = cell;
    await settles['create-application']({ stored: [], dead: [of(create)] });
    await settles['update-application']({ stored: [], dead: [of(update)] });
    await settles['create-chat']({ stored: [], dead: [of(createChat)] });
    await outbox.forget('create-chat', [{ ...createChat, digest: digest ?? '' }]);
    await outbox.forget('create-message', [{ ...createMessage, digest: digest ?? '' }]);
    await settles['update-message']({ stored: [], dead: [of(updateMessage)] });
    const withoutWindow = async () =>
      (await everything(cell.keys)).filter((entry) => !/(order|entries)::/.test(entry));
    expect(await withoutWindow()).toEqual(before.filter((entry) => !/(order|entries)::/.test(entry)));
    await settles['create-message']({ stored: [], dead: [of(createMessage)] });
    expect(await withoutWindow()).toEqual(before.filter((entry) => !/(order|entries)::/.test(entry)));
  });

  test('that is stored leaves ours in its outbox, until ours is settled', async () => {
    const { cell, create, createChat, createMessage, update, updateMessage } = await givenPending();
    const queues = [
      'create-application',
      'update-application',
      'create-chat',
      'create-message',
      'update-message',
    ];
    const settle = async (withDigest: boolean) => {
      const of = ({ commandId, content }: typeof create) => ({
        ...place,
        commandId,
        digest: withDigest ? digestOf(content) : undefined,
        version: commandId,
      });
      await cell.settles['create-application']({ stored: [of(create)], dead: [] });
      await cell.settles['update-application']({ stored: [of(update)], dead: [] });
      await cell.settles['create-chat']({ stored: [of(createChat)], dead: [] });
      await cell.settles['create-message']({ stored: [of(createMessage)], dead: [] });
      const row = { ...of(updateMessage), senderId: ana, senderName: 'ana', body: 'e' };
      await cell.settles['update-message']({ stored: [row], dead: [] });
      const { 'index-message': _index, ...depths } = await depthsOf(cell, queues);
      return Object.values(depths);
    };
    expect(await settle(false)).toEqual([1, 1, 1, 1, 1]);
    expect(await settle(true)).toEqual([0, 0, 0, 0, 0]);
  });
});
