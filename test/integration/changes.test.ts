import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import type { AcceptedQueue } from '#lib/contracts/commands/all.ts';
import { createApplicationCommand } from '#lib/contracts/commands/create-application.ts';
import { createChatCommand } from '#lib/contracts/commands/create-chat.ts';
import { createMessageCommand } from '#lib/contracts/commands/create-message.ts';
import { type Change, NUMBER_STEP } from '#lib/domain/change.ts';
import { createToken } from '#lib/domain/token.ts';
import { createChangeContent } from '#lib/reading/change-content.ts';
import { createFeed } from '#lib/reading/changes.ts';
import { createWithSenders } from '#lib/reading/senders.ts';
import { openGate } from '#lib/recovery/opening.ts';
import { createPendingChanges } from '#lib/redis/changes/pending-changes.ts';
import { createAccepts, createSettles } from '#lib/redis/commands/all.ts';
import { persistApplication } from '../../functions/consumers/persist-application.ts';
import { persistChat } from '../../functions/consumers/persist-chat.ts';
import { persistMessage } from '../../functions/consumers/persist-message.ts';
import { digestOf, received } from '../support/received.ts';
import { openGateOf, openStores, type Stores } from '../support/stores.ts';

let stores: Stores;
let ana: number;
let token: string;
let feed: ReturnType<typeof createFeed>;

beforeAll(async () => {
  stores = await openStores(inject('urls'), 'changes');
  [ana = 0] = await stores.addUsers('ana');
  feed = createFeed({ pendingChanges: createPendingChanges(stores), changes: stores.changes });
  token = createToken();
  await consumeApplication(await newApplication());
  await consumeChat((await stores.accept.chat({ token, creatorId: ana })).command);
});
afterAll(() => stores?.close());

const indexing = { handOn: async () => undefined };
const newApplication = async () =>
  (await stores.accept.application({ token, name: 'n', creatorId: ana })).command;
const consumeApplication = async (content: string | undefined) => {
  const outcome = await persistApplication.store(stores, [received(createApplicationCommand, content)]);
  await persistApplication.settle(stores, { stored: outcome.stored, dead: [] });
};
const consumeChat = async (content: string | undefined) => {
  const outcome = await persistChat.store(stores, [received(createChatCommand, content)]);
  await persistChat.settle(stores, { stored: outcome.stored, dead: [] });
};
const consume = async (content: string | undefined) => {
  const outcome = await persistMessage.store({ ...stores, indexing }, [
    received(createMessageCommand, content),
  ]);
  await persistMessage.settle({ ...stores, indexing }, { stored: outcome.stored, dead: [] });
};
const send = async () => {
  const { command } = await stores.accept.message({
    token,
    chatNumber: 1,
    senderId: ana,
    senderName: 'ana',
    body: 'b',
    date: '2026-01-01T00:00:00.000Z',
  });
  const { commandId, messageNumber }: { commandId: number; messageNumber: number } = JSON.parse(
    command ?? '',
  );
  return { command, commandId, messageNumber };
};
const clock = async () => Number(await stores.redis.hget(stores.keys.state, 'clock'));
const pending = () => stores.redis.zrange(stores.keys.changes(token), 0, '-1');
const witnessOf = async (queue: AcceptedQueue) =>
  (await stores.recoveryState.queues()).get(queue)?.highestId ?? 0;
const changesSince = async (since: number) =>
  (await feed({ token, since, limit: 100 })).items.map(({ type, changeNumber }) => [type, changeNumber]);
const close = async () => {
  const { server } = await stores.client.connection();
  await stores.redis.hdel(stores.keys.state, `run:${server}`);
};
const reopen = async () => {
  const attempt = await stores.gate.attempt();
  await attempt.begin();
  const epoch = await stores.recoveryState.beginEpoch(attempt.server);
  const witness = Math.max(
    0,
    ...[...(await stores.recoveryState.queues()).values()].map(({ highestId }) => highestId),
  );
  return openGate(attempt, epoch, witness, stores);
};

describe('a change', () => {
  test('has the id of its command, before and after it is stored, and is pending no longer then', async () => {
    const since = await clock();
    const { command, commandId } = await send();
    expect(commandId % NUMBER_STEP).toBe(0);
    expect(await changesSince(since)).toEqual([['message.created', commandId]]);
    expect(await pending()).toHaveLength(1);
    await consume(command);
    expect(await changesSince(since)).toEqual([['message.created', commandId]]);
    expect(await pending()).toEqual([]);
  });

  test('of a command that comes again is listed again, above every position that was given', async () => {
    const { command } = await send();
    await consume(command);
    const since = await clock();
    await consume(command);
    expect(await changesSince(since)).toEqual([['message.created', await clock()]]);
    expect(await pending()).toEqual([]);
    expect(await witnessOf('create-message')).toBe(await clock());
  });

  test('of a dead command vanishes, and so does that of one that no consumer can read', async () => {
    const { command, commandId, messageNumber } = await send();
    const digest = digestOf(command);
    await createSettles(stores)['create-message']({
      stored: [],
      dead: [{ token, chatNumber: 1, messageNumber, commandId, digest, createdAtMs: 0, version: 0 }],
    });
    expect(await pending()).toEqual([]);
    const other = await send();
    await stores.outbox.forget('create-message', [
      { commandId: other.commandId, digest: digestOf(other.command), token },
    ]);
    expect(await pending()).toEqual([]);
  });

  test('of another program with the id of a pending one leaves that pending, and gets a number of its own', async () => {
    const { command, commandId, messageNumber } = await send();
    const { epoch: _epoch, ...foreign } = JSON.parse(command ?? '');
    const issued = await createSettles(stores)['create-message']({
      stored: [{ token, chatNumber: 1, messageNumber, commandId, createdAtMs: 0, version: commandId }],
      dead: [],
    });
    expect(foreign.commandId).toBe(commandId);
    expect(issued.map(({ changeNumber }) => changeNumber)).toEqual([await clock()]);
    expect(
      await stores.redis.zscore(
        stores.keys.changes(token),
        `message.created:1:${messageNumber}:${commandId}`,
      ),
    ).toBe(String(commandId));
    await createPendingChanges(stores).remove(issued);
    await consume(command);
    expect(await pending()).toEqual([]);
  });

  test('keeps a fresh number until that is stored, however often its command comes', async () => {
    const { command } = await send();
    await consume(command);
    const settle = () =>
      createSettles(stores)['create-message']({
        stored: [{ ...received(createMessageCommand, command) }],
        dead: [],
      });
    const [first] = await settle();
    const [second] = await settle();
    expect(second?.changeNumber).toBe(first?.changeNumber);
    await consume(command);
    expect(await pending()).toEqual([]);
  });
});

describe('while the gate is closed', () => {
  test('fresh numbers move neither the clock nor the witness, and the next opening is above them', async () => {
    const { command } = await send();
    await consume(command);
    const before = { clock: await clock(), witness: await witnessOf('create-message') };
    await close();
    await consume(command);
    expect({ clock: await clock(), witness: await witnessOf('create-message') }).toEqual(before);
    const late = Number(await stores.redis.hget(stores.keys.state, 'late'));
    expect(late).toBeGreaterThan(before.clock);
    await expect(feed({ token, since: 0, limit: 1 })).rejects.toMatchObject({ code: 'unavailable' });
    expect(await reopen()).toBe('open');
    expect(await clock()).toBeGreaterThan(late);
    expect(await changesSince(before.clock)).toContainEqual(['message.created', late]);
  });
});

describe('an opening', () => {
  test('sends back positions strictly inside its interval, and no other', async () => {
    const found = await clock();
    await close();
    await reopen();
    const start = await clock();
    const answer = (since: number) =>
      feed({ token, since, limit: 1 }).then(
        () => 'read',
        ({ code }) => code,
      );
    expect(await answer(found)).toBe('read');
    expect(await answer(found + NUMBER_STEP)).toBe('gone');
    expect(await answer(start - NUMBER_STEP)).toBe('gone');
    expect(await answer(start)).toBe('read');
    expect(await answer(start + NUMBER_STEP)).toBe('gone');
  });

  test('of an earlier epoch records nothing once a later one has begun', async () => {
    const { recoveryState } = stores;
    const earlier = await recoveryState.beginEpoch('a');
    const later = await recoveryState.beginEpoch('b');
    expect(await recoveryState.recordOpening(earlier, { found: 0, above: 16 })).toBeUndefined();
    const start = await recoveryState.recordOpening(later, { found: await clock(), above: 16 });
    expect(start).toBeGreaterThan(await clock());
    await stores.database.write('UPDATE epochs SET found = NULL, start = NULL WHERE number = ?', [later]);
  });

  test('does not happen at a clock that has changed, or below a late number', async () => {
    await close();
    const attempt = await stores.gate.attempt();
    await attempt.begin();
    const found = await clock();
    const start = found + 1_000_000 * NUMBER_STEP;
    expect(await attempt.open(99, { witness: 0, found: found - 1, start })).toBe('changed');
    await stores.redis.hset(stores.keys.state, 'late', start);
    expect(await attempt.open(99, { witness: 0, found, start })).toBe('changed');
    await stores.redis.hdel(stores.keys.state, 'late');
    await attempt.end();
    expect(await reopen()).toBe('open');
  });

  test('that comes before the feed was complete lets nobody begin', async () => {
    const { database } = stores;
    await database.write(
      "INSERT INTO epochs (server, begun_at, found, start) VALUES ('before the feed', NOW(3), -1, ?)",
      [(await clock()) + 1_000_000 * NUMBER_STEP],
    );
    await expect(feed({ token, since: undefined, limit: 1 })).rejects.toMatchObject({ code: 'unavailable' });
    await expect(feed({ token, since: 0, limit: 1 })).rejects.toMatchObject({ code: 'gone' });
    await database.write('DELETE FROM epochs WHERE found = -1', []);
  });
});

describe('a feed that somebody watches', () => {
  const accept = async () => {
    const outcome = await createAccepts(stores)['create-message']({
      token,
      chatNumber: 1,
      senderId: ana,
      senderName: 'ana',
      body: 'b',
    });
    return outcome.kind === 'accepted' ? outcome : expect.unreachable(outcome.kind);
  };

  test('tells with each change the one before it, and nobody pays for one that nobody watches', async () => {
    const { redis, keys } = stores;
    expect((await accept()).change).toBeUndefined();
    const at = await clock();
    await redis.set(keys.watched({ token }), at, 'EX', 100);
    const first = (await accept()).change;
    expect(first).toMatchObject({
      type: 'message.created',
      token,
      chatNumber: 1,
      before: { application: at },
    });
    await redis.set(keys.watched({ token, chatNumber: 1 }), at, 'EX', 100);
    const second = (await accept()).change;
    expect(second?.before).toEqual({ application: first?.changeNumber, chat: at });
    const together = await Promise.all([accept(), accept()]);
    const [third, fourth] = together.map(({ change }) => change);
    expect(third?.before.chat).toBe(second?.changeNumber);
    expect(fourth?.before.chat).toBe(third?.changeNumber);
    expect(Number(await redis.get(keys.watched({ token })))).toBe(fourth?.changeNumber);
    expect(await redis.ttl(keys.watched({ token }))).toBeGreaterThan(0);
  });

  test('counts an opening as a change, because frames may be lost with it', async () => {
    await close();
    await reopen();
    const opened = await clock();
    expect((await accept()).change?.before).toEqual({ application: opened, chat: opened });
  });

  test('hears of fresh numbers, too', async () => {
    const { command } = await send();
    await consume(command);
    const at = await clock();
    const issued = await createSettles(stores)['create-message']({
      stored: [{ ...received(createMessageCommand, command) }],
      dead: [],
    });
    expect(issued).toMatchObject([{ changeNumber: await clock(), before: { application: at, chat: at } }]);
    await consume(command);
  });
});

describe('the content of changes', () => {
  const content = () =>
    createChangeContent({ ...stores, withSenders: createWithSenders({ users: stores.users }) });
  const itemOf = (messageNumber: number): Change => ({
    type: 'message.created',
    token,
    chatNumber: 1,
    messageNumber,
    changeNumber: NUMBER_STEP,
  });

  test('is that of the moment of reading, pending or stored, and each item is read once', async () => {
    const { command, messageNumber, commandId } = await send();
    const shown = { message: { messageNumber, body: 'b', changeNumber: commandId } };
    const twice = [itemOf(messageNumber), { ...itemOf(messageNumber), changeNumber: 2 * NUMBER_STEP }];
    expect(await content()(twice)).toMatchObject([shown, shown]);
    await consume(command);
    expect(await content()(twice)).toMatchObject([shown, shown]);
    const parents: Change[] = [
      { type: 'chat.created', token, chatNumber: 1, changeNumber: NUMBER_STEP },
      { type: 'application.created', token, changeNumber: NUMBER_STEP },
    ];
    expect(await content()(parents)).toMatchObject([
      { chat: { chatNumber: 1, messagesCount: messageNumber } },
      { application: { token, name: 'n', chatsCount: 1 } },
    ]);
  });

  test('leaves out an item that does not exist, but no deletion of a chat', async () => {
    const deletion: Change = { type: 'chat.deleted', token, chatNumber: 9, changeNumber: NUMBER_STEP };
    const missing: Change[] = [
      itemOf(4_000_000),
      { type: 'chat.created', token, chatNumber: 9, changeNumber: NUMBER_STEP },
      { type: 'application.created', token: 'nobody', changeNumber: NUMBER_STEP },
    ];
    expect(await content()([...missing, deletion])).toEqual([
      { ...deletion, date: '1970-01-01T00:00:00.000Z' },
    ]);
  });

  test('is refused while the gate is closed: an older copy of Redis may lack an edit', async () => {
    const { command, messageNumber } = await send();
    await consume(command);
    await close();
    const of: Change[][] = [
      [itemOf(messageNumber)],
      [{ type: 'chat.created', token, chatNumber: 1, changeNumber: NUMBER_STEP }],
      [{ type: 'application.created', token, changeNumber: NUMBER_STEP }],
    ];
    for (const changes of of) await expect(content()(changes)).rejects.toMatchObject({ code: 'unavailable' });
    await reopen();
    expect(await content()(of.flat())).toHaveLength(3);
  });

  test('is refused for an item that only MySQL may know, and does not', async () => {
    await close();
    await openGateOf(stores.gate, (await clock()) + NUMBER_STEP);
    await expect(content()([itemOf(4_000_000)])).rejects.toMatchObject({ code: 'unavailable' });
    const { verifying } = await stores.gate.status();
    if (verifying !== undefined) await stores.gate.saveProgress(undefined, verifying.lost);
  });
});

test('a page of a chat looks at a thousand pending changes, and ends at the last one', async () => {
  const { redis, keys } = stores;
  const since = await clock();
  const members = Array.from({ length: 1_500 }, (_, i) => [
    since + (i + 1) * NUMBER_STEP,
    `message.created:7:${i}:${i}`,
  ]);
  const last = since + 1_501 * NUMBER_STEP;
  await redis.zadd(keys.changes(token), ...members.flat(), last, 'message.created:1:1:1');
  await redis.hset(keys.state, 'clock', last);
  const first = await feed({ token, chatNumber: 1, since, limit: 10 });
  expect(first).toMatchObject({ items: [], more: true });
  expect(first.changeNumber).toBeGreaterThanOrEqual(since + 1_000 * NUMBER_STEP);
  expect(first.changeNumber).toBeLessThan(since + 1_001 * NUMBER_STEP);
  const second = await feed({ token, chatNumber: 1, since: first.changeNumber, limit: 10 });
  expect(second).toMatchObject({ items: [{ changeNumber: last }], more: false, changeNumber: last });
  await redis.del(keys.changes(token));
});
