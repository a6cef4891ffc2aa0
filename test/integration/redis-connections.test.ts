import { randomUUID } from 'node:crypto';
import { afterAll, describe, expect, inject, test } from 'vitest';
import { createAccepts } from '#lib/redis/commands/all.ts';
import { createRedisClient } from '#lib/redis/connection/client.ts';
import { createGate } from '#lib/redis/gate/gate.ts';
import { createConnections } from '#lib/redis/live/connections.ts';
import { createGenerations } from '#lib/redis/revocation/generations.ts';
import { createKeys } from '#lib/redis/script/keys.ts';
import { openDirect, openGateOf } from '../support/stores.ts';

const client = createRedisClient(inject('urls').REDIS_URL, {
  timeoutMs: 10_000,
  keyPrefix: inject('names').keyPrefix,
  onError: () => undefined,
});
const redis = await openDirect(client);
afterAll(() => {
  client.close();
  redis.disconnect();
});

const token = 'app';
const chat = { token, chatNumber: 1 };
const HOUR_MS = 3_600_000;

/** A cell of its own on the same server, with an application and a chat. */
const newCell = async ({ open = true } = {}) => {
  const keys = createKeys(`${inject('names').keyPrefix}${randomUUID()}:`);
  const gate = createGate({ client, keys });
  if (open) await openGateOf(gate);
  const accepts = createAccepts({ client, keys });
  const connections = createConnections({ client, keys });
  const authenticate = (id: string, user = 7, endsAtMs = Date.now() + HOUR_MS, generation = 1) =>
    connections.authenticate(id, { id: user, generation, endsAtMs });
  const message = async () => {
    const given = { ...chat, senderId: 7, senderName: 'Ada', body: 'hi', createdAtMs: Date.now() };
    const outcome = await accepts['create-message'](given);
    if (outcome.kind !== 'accepted') throw new Error(outcome.kind);
    return outcome;
  };
  if (open) {
    await accepts['create-application']({ token, name: 'n', creatorId: 7 });
    await accepts['create-chat']({ token, creatorId: 7 });
  }
  const generations = createGenerations({ client, keys });
  return { keys, gate, accepts, connections, generations, authenticate, message };
};

const keysOf = async (prefix: string, words: readonly string[]): Promise<string[]> => {
  const all: string[] = [];
  for await (const found of redis.scanStream({ match: `${prefix}*`, count: 1_000 })) all.push(...found);
  return all.filter((key) => words.some((word) => key.startsWith(`${prefix}${word}::`)));
};
const LIVE = ['connection', 'connections', 'subscribers', 'watched', 'frames'];

describe('a subscription', () => {
  test('hears of every change above its position, each with the change before it', async () => {
    const { connections, authenticate, message } = await newCell();
    expect((await message()).change).toBeUndefined();
    await authenticate('a');
    const first = await connections.subscribe('a', chat);
    if (first.kind !== 'subscribed') throw new Error(first.kind);
    const one = (await message()).change;
    const two = (await message()).change;
    expect(one?.before).toEqual({ chat: first.changeNumber });
    expect(two?.before).toEqual({ chat: one?.changeNumber });
    const whole = await connections.subscribe('a', { token });
    expect(whole).toEqual({ kind: 'subscribed', changeNumber: two?.changeNumber });
    const three = (await message()).change;
    expect(three?.before).toEqual({ chat: two?.changeNumber, application: two?.changeNumber });
  });

  test('begins atomically with numbering: no write in the same moment is missed', async () => {
    const { connections, authenticate, message } = await newCell();
    await authenticate('a');
    const before = Array.from({ length: 50 }, message);
    const subscribing = connections.subscribe('a', chat);
    const after = Array.from({ length: 50 }, message);
    const subscribed = await subscribing;
    if (subscribed.kind !== 'subscribed') throw new Error(subscribed.kind);
    for (const { command, change } of await Promise.all([...before, ...after])) {
      const id = Number(command?.id);
      expect(change !== undefined, `${id} and ${subscribed.changeNumber}`).toBe(id > subscribed.changeNumber);
    }
  });

  test('is named by pongs with the newest change, until its chat or application is deleted', async () => {
    const { accepts, connections, authenticate, message } = await newCell();
    await authenticate('a');
    await connections.subscribe('a', chat);
    await connections.subscribe('a', { token });
    const id = Number((await message()).command?.id);
    const alive = await connections.ping('a');
    expect(alive).toEqual({
      kind: 'alive',
      positions: expect.arrayContaining([
        { ...chat, changeNumber: id },
        { token, changeNumber: id },
      ]),
    });
    await accepts['update-chat']({ ...chat, callerId: 7, deleted: true });
    expect(await connections.ping('a')).toMatchObject({ positions: [{ token }] });
    await accepts['update-application']({ token, callerId: 7, deleted: true });
    expect(await connections.ping('a')).toEqual({ kind: 'alive', positions: [] });
    expect(await connections.subscribe('a', chat)).toEqual({ kind: 'missing' });
    expect(await connections.subscribe('a', { token })).toEqual({ kind: 'missing' });
  });

  test('ends at a ping once Redis has forgotten its feed, so that the client subscribes again', async () => {
    const { keys, connections, authenticate } = await newCell();
    await authenticate('a');
    await connections.subscribe('a', chat);
    await redis.del(keys.watched(chat));
    expect(await connections.ping('a')).toEqual({ kind: 'alive', positions: [] });
    expect((await connections.subscribers([chat]))[0]?.ids).toEqual([]);
  });

  test('is one of a hundred of its connection', async () => {
    const { accepts, connections, authenticate } = await newCell();
    await authenticate('a');
    for (let i = 1; i < 102; i += 1) await accepts['create-chat']({ token, creatorId: 7 });
    for (let chatNumber = 1; chatNumber <= 100; chatNumber += 1)
      expect(await connections.subscribe('a', { token, chatNumber })).toMatchObject({ kind: 'subscribed' });
    expect(await connections.subscribe('a', { token, chatNumber: 101 })).toEqual({ kind: 'full' });
    expect(await connections.subscribe('a', { token, chatNumber: 100 })).toMatchObject({
      kind: 'subscribed',
    });
    expect(await connections.unsubscribe('a', { token, chatNumber: 3 })).toEqual({ kind: 'unsubscribed' });
    expect(await connections.subscribe('a', { token, chatNumber: 101 })).toMatchObject({
      kind: 'subscribed',
    });
  });

  test('needs an authenticated connection, an item and an open gate', async () => {
    const { connections, authenticate } = await newCell();
    expect(await connections.subscribe('a', chat)).toEqual({ kind: 'unknown' });
    await authenticate('a');
    expect(await connections.subscribe('a', { token, chatNumber: 2 })).toEqual({ kind: 'missing' });
    expect(await connections.subscribe('a', { token: 'other' })).toEqual({ kind: 'missing' });
    const closed = await newCell({ open: false });
    expect(await closed.authenticate('b')).toEqual({ kind: 'closed' });
    expect(await closed.connections.subscribe('b', chat)).toEqual({ kind: 'closed' });
    expect(await closed.connections.ping('b')).toEqual({ kind: 'closed' });
  });
});

describe('a lease', () => {
  test('is on every key of a connection', async () => {
    const { keys, connections, authenticate } = await newCell();
    await authenticate('a');
    await connections.subscribe('a', chat);
    await connections.countFrame('a', { isBad: true });
    const found = await keysOf(keys.prefix, LIVE);
    expect(found).toHaveLength(6);
    for (const key of found) {
      const ttl = await redis.pttl(key);
      expect(ttl, key).toBeGreaterThan(0);
      expect(ttl, key).toBeLessThanOrEqual(20 * 60 * 1000);
    }
  });

  test('ends with the access token, after which nobody posts to the connection', async () => {
    const { connections, authenticate } = await newCell();
    await authenticate('a', 7, Date.now() + 1_000);
    await authenticate('b');
    await connections.subscribe('a', chat);
    await connections.subscribe('b', chat);
    await expect
      .poll(async () => (await connections.subscribers([chat]))[0], { timeout: 5_000 })
      .toEqual({ ids: ['b'], ended: [{ id: 'a', reason: 'token-expired' }] });
    expect(await connections.subscribers([chat])).toEqual([{ ids: ['b'], ended: [] }]);
    expect(await connections.ping('a')).toEqual({ kind: 'gone', reason: 'token-expired' });
  });

  test('is renewed by a ping and by a fresh token', async () => {
    const { keys, connections, authenticate } = await newCell();
    await authenticate('a', 7, Date.now() + 60_000);
    await connections.subscribe('a', chat);
    const until = async () => Number(await redis.zscore(keys.subscribers(chat), 'a'));
    const first = await until();
    expect(first).toBeLessThanOrEqual(Date.now() + 60_000);
    await authenticate('a', 7, Date.now() + HOUR_MS);
    const second = await until();
    expect(second).toBeGreaterThan(Date.now() + 500_000);
    await connections.ping('a');
    expect(await until()).toBeGreaterThanOrEqual(second);
    expect(await redis.pttl(keys.watched(chat))).toBeGreaterThan(500_000);
  });

  test('that ended without a ping ends the connection as idle', async () => {
    const { keys, connections, authenticate } = await newCell();
    await authenticate('a');
    await connections.subscribe('a', chat);
    await redis.hset(keys.connection('a'), 'until', String(Date.now() - 1));
    await redis.zadd(keys.subscribers(chat), Date.now() - 1, 'a');
    expect(await connections.subscribers([chat])).toEqual([
      { ids: [], ended: [{ id: 'a', reason: 'idle' }] },
    ]);
    expect(await connections.ping('a')).toEqual({ kind: 'gone', reason: 'idle' });
  });
});

describe('signing out', () => {
  test('ends every connection of an earlier generation, and no other', async () => {
    const { keys, connections, generations, authenticate } = await newCell();
    await authenticate('old');
    await authenticate('fresh', 7, Date.now() + HOUR_MS, 2);
    await authenticate('other', 8);
    for (const id of ['old', 'fresh', 'other']) await connections.subscribe(id, chat);
    expect(await generations.raise([{ id: 7, generation: 2 }])).toEqual({ gate: 'open', ended: ['old'] });
    expect((await connections.subscribers([chat]))[0]?.ids.sort()).toEqual(['fresh', 'other']);
    expect(await connections.ping('old')).toEqual({ kind: 'gone', reason: 'signed-out' });
    expect(await connections.subscribe('old', chat)).toEqual({ kind: 'gone', reason: 'signed-out' });
    expect(await authenticate('old')).toEqual({ kind: 'ended' });
    expect(await redis.zrange(keys.connections(7), '0', '-1')).toEqual(['fresh']);
  });

  test('is checked again by each script, also for a connection that a rollback brought back', async () => {
    const { keys, connections, generations, authenticate } = await newCell();
    await authenticate('a');
    await connections.subscribe('a', chat);
    const kept = await redis.hgetall(keys.connection('a'));
    await generations.raise([{ id: 7, generation: 2 }]);
    const bringBack = async () => {
      await redis.del(keys.connection('a'));
      await redis.hset(keys.connection('a'), kept);
      await redis.zadd(keys.subscribers(chat), Date.now() + HOUR_MS, 'a');
      await redis.zadd(keys.connections(7), Date.now() + HOUR_MS, 'a');
    };
    for (const act of [
      () => connections.ping('a'),
      () => connections.subscribe('a', { token }),
      () => connections.unsubscribe('a', chat),
    ]) {
      await bringBack();
      expect(await act()).toEqual({ kind: 'gone', reason: 'signed-out' });
      expect((await connections.subscribers([chat]))[0]?.ids).toEqual([]);
    }
    await bringBack();
    expect(await generations.raise([{ id: 7, generation: 2 }])).toEqual({ gate: 'open', ended: ['a'] });
    expect((await connections.subscribers([chat]))[0]?.ids).toEqual([]);
  });
});

test('a user has twenty connections, without those that have ended', async () => {
  const { keys, connections, authenticate } = await newCell();
  for (let i = 0; i < 20; i += 1) expect(await authenticate(`${i}`)).toEqual({ kind: 'authenticated' });
  expect(await authenticate('21')).toEqual({ kind: 'full' });
  expect(await authenticate('3')).toEqual({ kind: 'authenticated' });
  expect(await connections.ping('21')).toEqual({ kind: 'gone', reason: 'limit' });
  await connections.forget(['5']);
  expect(await authenticate('22')).toEqual({ kind: 'authenticated' });
  await redis.zadd(keys.connections(7), Date.now() - 1, '6');
  expect(await authenticate('23')).toEqual({ kind: 'authenticated' });
});

test('a forgotten connection leaves nothing behind', async () => {
  const { keys, connections, authenticate } = await newCell();
  await authenticate('a');
  await connections.subscribe('a', chat);
  await connections.subscribe('a', { token });
  await connections.forget(['a']);
  expect(await keysOf(keys.prefix, ['connection', 'connections', 'subscribers'])).toEqual([]);
});

test('a reader is found by connections that subscribe to the chat or its application', async () => {
  const { connections, authenticate } = await newCell();
  for (const id of ['chat', 'application', 'neither']) await authenticate(id);
  await authenticate('of-another', 8);
  await connections.subscribe('chat', chat);
  await connections.subscribe('application', { token });
  await connections.subscribe('of-another', chat);
  expect((await connections.readers(7, chat)).sort()).toEqual(['application', 'chat']);
});

test('frames are counted by connection, and bad ones apart', async () => {
  const { connections } = await newCell();
  for (let i = 0; i < 30; i += 1) expect(await connections.countFrame('a', { isBad: false })).toBe('counted');
  expect(await connections.countFrame('a', { isBad: false })).toBe('too-many');
  expect(await connections.countFrame('b', { isBad: false })).toBe('counted');
  for (let i = 0; i < 9; i += 1) await connections.countFrame('c', { isBad: true });
  expect(await connections.countFrame('c', { isBad: true })).toBe('too-many-bad');
  expect(await connections.ping('c')).toEqual({ kind: 'gone', reason: 'bad-frames' });
});
