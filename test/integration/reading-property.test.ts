import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import type { Consumer } from '#lib/consumer/consumer-handler.ts';
import type { Read } from '#lib/contracts/commands/command.ts';
import { createChatCommand } from '#lib/contracts/commands/create-chat.ts';
import { createMessageCommand } from '#lib/contracts/commands/create-message.ts';
import { updateMessageCommand } from '#lib/contracts/commands/update-message.ts';
import { isKnownError } from '#lib/domain/errors.ts';
import type { Message } from '#lib/domain/message.ts';
import type { Position } from '#lib/domain/position.ts';
import { createConversation } from '#lib/reading/conversation.ts';
import { createWithSenders } from '#lib/reading/senders.ts';
import { createAccepts } from '#lib/redis/commands/all.ts';
import { createEraseAtOnce } from '#lib/writing/erase-at-once.ts';
import { createFindStored } from '#lib/writing/find-stored.ts';
import { createSubmit } from '#lib/writing/submit.ts';
import { persistMessage } from '../../functions/consumers/persist-message.ts';
import { persistMessageUpdate } from '../../functions/consumers/persist-message-update.ts';
import { deleteMessage } from '../../functions/http/messages/delete-message.ts';
import { updateMessage } from '../../functions/http/messages/update-message.ts';
import { created } from '../support/commands.ts';
import { received } from '../support/received.ts';
import { openGateOf, openStores, type Stores } from '../support/stores.ts';

/*
 * A chat is a set of messages. Windows, outboxes, rows and their order are implementation. So the model is a plain map,
 * and every page must equal the model's page after any event.
 */

const NAMES = ['ana', 'bo'];
const BASE_MS = Date.parse('2026-01-01T00:00:00Z');
/** Of three bytes each: six such messages are more than a window holds. */
const BIG = 15_900;

type Step =
  | { do: 'create'; by: number; atMs: number; big: boolean; times: number }
  | { do: 'edit'; which: number; stranger: boolean; big: boolean }
  | { do: 'persist creates' | 'persist edits'; order: number[]; again: boolean; crash: boolean }
  | { do: 'read'; page: number; limit: number }
  | { do: 'lose window' }
  | { do: 'begin rebuild' }
  | { do: 'read rows' }
  | { do: 'finish rebuild' }
  | { do: 'new epoch' }
  | { do: 'close gate' }
  | { do: 'foreign create'; by: number; atMs: number }
  /** `atOnce`: MySQL takes the deletion before the answer. */
  | { do: 'delete'; which: number; by: number; atOnce: boolean }
  | { do: 'foreign edit' | 'foreign delete'; which: number };

const by = fc.integer({ min: 0, max: NAMES.length - 1 });
const which = fc.nat(30);
// Few enough for many to be equal.
const atMs = fc.integer({ min: -5, max: 5 }).map((offset) => BASE_MS + offset);
const order = fc.array(fc.nat(20), { minLength: 1, maxLength: 20 });
const often = fc.nat(2).map((n) => n === 0);
/** Seven big ones are more than a window holds. */
const times = fc.constantFrom(1, 1, 2, 7);
const rarely = fc.nat(5).map((n) => n === 0);
const only = <Name extends Step['do']>(name: Name) => fc.constant(name);

const write: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: only('create'), by, atMs, big: fc.boolean(), times }) },
  { weight: 3, arbitrary: fc.record({ do: only('edit'), which, stranger: rarely, big: rarely }) },
  { weight: 3, arbitrary: fc.record({ do: only('persist creates'), order, again: rarely, crash: often }) },
  { weight: 3, arbitrary: fc.record({ do: only('persist edits'), order, again: rarely, crash: rarely }) },
  { weight: 1, arbitrary: fc.record({ do: only('foreign create'), by, atMs }) },
  { weight: 2, arbitrary: fc.record({ do: only('foreign edit'), which }) },
  { weight: 2, arbitrary: fc.record({ do: only('delete'), which, by, atOnce: often }) },
  { weight: 1, arbitrary: fc.record({ do: only('foreign delete'), which }) },
);
const happening: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: only('read'),
      page: fc.integer({ min: 1, max: 4 }),
      limit: fc.integer({ min: 1, max: 6 }),
    }),
  },
  { weight: 4, arbitrary: fc.record({ do: only('lose window') }) },
  { weight: 2, arbitrary: fc.record({ do: only('begin rebuild') }) },
  { weight: 2, arbitrary: fc.record({ do: only('read rows') }) },
  { weight: 2, arbitrary: fc.record({ do: only('finish rebuild') }) },
  { weight: 1, arbitrary: fc.record({ do: only('new epoch') }) },
  { weight: 1, arbitrary: fc.record({ do: only('close gate') }) },
);
const anything = fc.array(fc.oneof({ weight: 3, arbitrary: write }, { weight: 2, arbitrary: happening }), {
  maxLength: 40,
});
const writes = fc.array(write, { maxLength: 8 });
/** A rebuild from begin to end, with writes before, after, and between each of its parts. */
const rebuildAmongWrites = fc
  .tuple(writes, writes, writes, writes)
  .map(([before, first, second, after]): Step[] => [
    ...before,
    { do: 'lose window' },
    { do: 'begin rebuild' },
    ...first,
    { do: 'read rows' },
    ...second,
    { do: 'finish rebuild' },
    ...after,
  ]);
const steps = fc.oneof(anything, rebuildAmongWrites);

const create: Step = { do: 'create', by: 0, atMs: BASE_MS, big: false, times: 3 };
const persisted: Step = { do: 'persist creates', order: [0, 1, 2], again: false, crash: false };
const unsettled: Step = { ...persisted, crash: true };
const edit: Step = { do: 'edit', which: 0, stranger: false, big: false };
const deleted: Step = { do: 'delete', which: 0, by: 0, atOnce: false };
const foreignEdit: Step = { do: 'foreign edit', which: 0 };
const editPersisted: Step = { do: 'persist edits', order: [0], again: false, crash: false };
const lost: Step = { do: 'lose window' };
const begin: Step = { do: 'begin rebuild' };
const rows: Step = { do: 'read rows' };
const finish: Step = { do: 'finish rebuild' };
/** Sequences that random choices rarely produce. */
const scenarios: Record<string, Step[]> = {
  'another program edits what the rebuild has read': [
    create,
    persisted,
    lost,
    begin,
    rows,
    { do: 'foreign edit', which: 0 },
    finish,
  ],
  'another program creates what the rebuild has not read': [
    create,
    persisted,
    lost,
    begin,
    rows,
    { do: 'foreign create', by: 0, atMs: BASE_MS },
    finish,
  ],
  'an edit is settled before its message is': [create, unsettled, edit, editPersisted, lost],
  'an edit is accepted, stored and settled during a rebuild': [
    create,
    persisted,
    lost,
    begin,
    rows,
    edit,
    editPersisted,
    finish,
  ],
  'a message is deleted during a rebuild': [
    create,
    persisted,
    lost,
    begin,
    deleted,
    rows,
    finish,
    editPersisted,
    edit,
    lost,
  ],
  'the deletion is stored and settled during a rebuild': [
    create,
    persisted,
    lost,
    begin,
    rows,
    deleted,
    editPersisted,
    finish,
    edit,
  ],
  'a pending message is edited, deleted and edited again': [
    create,
    edit,
    deleted,
    edit,
    persisted,
    editPersisted,
    edit,
  ],
  'the deletion is stored before an earlier edit': [
    create,
    persisted,
    edit,
    deleted,
    { ...editPersisted, order: [1] },
    editPersisted,
    lost,
  ],
  'the deletion is settled before its message is': [
    create,
    unsettled,
    deleted,
    editPersisted,
    edit,
    lost,
    edit,
  ],
  'another program edits what is being deleted': [
    create,
    persisted,
    deleted,
    foreignEdit,
    lost,
    editPersisted,
    lost,
  ],
  'another program deletes what is being edited': [
    create,
    persisted,
    edit,
    { do: 'foreign delete', which: 0 },
    edit,
    editPersisted,
    lost,
    edit,
  ],
  'MySQL takes the deletion at once, and an edit comes late': [
    create,
    persisted,
    edit,
    { ...deleted, atOnce: true },
    lost,
    editPersisted,
    edit,
    editPersisted,
  ],
  'Redis loses data between the deletion and its storing': [
    create,
    persisted,
    deleted,
    { do: 'new epoch' },
    edit,
    editPersisted,
    edit,
  ],
  'messages are stored and not settled, and pages skip rows': [create, create, unsettled, lost],
  'more is accepted during a rebuild than a window holds': [
    create,
    persisted,
    lost,
    begin,
    { ...create, big: true, times: 8 },
    rows,
    finish,
  ],
};

type CreateMessage = Read<typeof createMessageCommand>;
type UpdateMessage = Read<typeof updateMessageCommand>;

let stores: Stores;
let users: number[];
let handles: ReadonlyMap<number, string>;
const token = 'app';

beforeAll(async () => {
  stores = await openStores(inject('urls'), 'reading', { keyPrefix: inject('names').keyPrefix });
  users = await stores.addUsers(...NAMES);
  handles = await stores.users.findHandles(users);
  const creatorId = users[0] ?? 0;
  await stores.accept.application({ token, name: token, creatorId });
  await stores.applications.insert([{ token, name: token, creatorId, ...created(1, BASE_MS) }]);
});
afterAll(() => stores?.close());

const newChat = async (): Promise<number> => {
  const creatorId = users[0] ?? 0;
  const { result, command } = await stores.accept.chat({ token, creatorId });
  await stores.chats.insert([received(createChatCommand, command)]);
  return result;
};

type Shown = Pick<
  Message,
  'messageNumber' | 'sender' | 'senderName' | 'body' | 'createdAtMs' | 'editedAtMs' | 'deletedAtMs'
>;
/** The order of storing decides about the times of a deleted message, so they are left out. */
const shown = ({ messageNumber, sender, senderName, body, createdAtMs, editedAtMs, deletedAtMs }: Shown) => ({
  messageNumber,
  sender,
  senderName,
  body: `${body.slice(0, 20)}… ${body.length}`,
  createdAtMs,
  ...(deletedAtMs === undefined ? { editedAtMs } : { isDeleted: true }),
});

/** One chat as clients know it, and the events that may happen to it. */
const createRun = async () => {
  const chat = { token, chatNumber: await newChat() };
  const { client, redis, keys, gate, recoveryState, applications, messages, settles, recentMessages, chats } =
    stores;
  const truth = new Map<number, Message>();
  const creates: CreateMessage[] = [];
  const edits: UpdateMessage[] = [];
  let words = 0;
  const body = (big: boolean) => {
    words += 1;
    return `${words}:`.padEnd(big ? BIG : 5, '界');
  };
  const eraseAtOnce = createEraseAtOnce({
    applications,
    chats,
    messages,
    onFailure: (error) => {
      throw error;
    },
  });
  let isMysqlFast = false;
  const submit = createSubmit({
    accepts: createAccepts({ client, keys }),
    publisher: {
      publishCommand: async (queue, { content }) => {
        if (queue === 'create-message') creates.push(received(createMessageCommand, content));
        else edits.push(received(updateMessageCommand, content));
      },
    },
    gate,
    numbers: recoveryState,
    findStored: createFindStored({ applications, chats, messages }),
    eraseAtOnce: async (queue, content) => {
      if (isMysqlFast) await eraseAtOnce(queue, content);
    },
    askForRecovery: () => undefined,
    onUnpublished: (_queue, error) => {
      throw error;
    },
  });
  const withSenders = createWithSenders({ users: stores.users });
  const conversation = createConversation({ recentMessages, messages, chats, withSenders });
  /** Reads without building a window, so that reading changes nothing. */
  const onlooker = createConversation({
    recentMessages: { ...recentMessages, beginWindow: async () => false },
    messages,
    chats,
    withSenders,
  });

  /** The number of a message, which usually exists. */
  const numberOf = (which: number) => 1 + (which % (truth.size + 1));
  const applyToTruth = (edit: UpdateMessage) => {
    const message = truth.get(edit.messageNumber);
    if (message === undefined || message.deletedAtMs !== undefined) return;
    if (edit.deleted) {
      truth.set(edit.messageNumber, { ...message, body: '', deletedAtMs: edit.editedAtMs });
    } else if (message.version < edit.commandId) {
      truth.set(edit.messageNumber, {
        ...message,
        body: edit.body,
        editedAtMs: edit.editedAtMs,
        version: edit.commandId,
      });
    }
  };
  const sorted = () =>
    [...truth.values()]
      .sort((a, b) => b.createdAtMs - a.createdAtMs || b.messageNumber - a.messageNumber)
      .map(shown);

  /** A delivery: some of the published commands, in any order, some of them twice; `again`: the broker keeps them. */
  const deliver = async <Command extends CreateMessage | UpdateMessage, Uses, Stored>(
    queue: Command[],
    { order, again, crash }: { order: number[]; again: boolean; crash: boolean },
    consumer: Consumer<Command, Uses, Stored>,
    uses: Uses,
  ) => {
    const commands = order.flatMap((index) => queue[index % queue.length] ?? []);
    if (commands.length === 0) return;
    const { stored, deferred, dead } = await consumer.store(uses, commands);
    expect(dead).toEqual([]);
    // Killed between the commit and the settling.
    if (crash) return;
    await consumer.settle(uses, { stored, dead: [] });
    if (again) return;
    const waiting = new Set(deferred.map(({ command }) => command.commandId));
    const done = new Set(commands.filter(({ commandId }) => !waiting.has(commandId)));
    for (const command of done) queue.splice(queue.indexOf(command), 1);
  };
  const indexing = { handOn: async () => undefined };

  let rebuild: { builder: string; rows?: Message[] } | undefined;
  let builders = 0;
  let open = true;
  const reopen = async () => {
    await openGateOf(gate);
    open = true;
  };
  const close = async () => {
    await redis.hdel(keys.state, `run:${(await client.connection()).server}`);
    open = false;
  };
  /** A recovery found that consumers had handled a later command than Redis knows. */
  const reopenAfterLoss = async () => {
    await close();
    await openGateOf(gate, Number(await redis.hget(keys.state, 'clock')) + 1);
    open = true;
  };

  const create = async ({ by, atMs, big }: { by: number; atMs: number; big: boolean }) => {
    const user = users[by] ?? 0;
    const message = {
      ...chat,
      senderId: user,
      // A token from before handles leaves it out, and readers look it up.
      sender: words % 2 === 0 ? undefined : handles.get(user),
      senderName: NAMES[by] ?? '',
      body: body(big),
      createdAtMs: atMs,
    };
    try {
      const messageNumber = await submit(createMessageCommand, message);
      expect(open).toBe(true);
      expect(messageNumber).toBe(truth.size + 1);
      const { commandId = 0 } = creates.at(-1) ?? {};
      truth.set(messageNumber, { ...message, sender: handles.get(user), messageNumber, version: commandId });
    } catch (error) {
      if (open || !isKnownError(error, 'unavailable')) throw error;
    }
  };

  /** What a function of an edit gets from its wrapper. */
  const requestOf = <Input>(input: Input, id: number) => ({
    input,
    caller: { id, name: '', generation: 0 },
    credentials: { user: '', password: '' },
    idempotency: undefined,
    expected: undefined,
    clientAddress: '127.0.0.1',
  });
  /** Edits or deletes a message by an HTTP function, and expects this answer while the gate is open. */
  const change = async (call: () => Promise<unknown>, expected: string) => {
    const before = edits.length;
    const answer = await call().then(
      () => 'done',
      (error: unknown) => (isKnownError(error) ? error.code : Promise.reject(error)),
    );
    expect(answer).toBe(open ? expected : 'unavailable');
    for (const edit of edits.slice(before)) applyToTruth(edit);
  };

  const act = async (step: Step): Promise<void> => {
    switch (step.do) {
      case 'create': {
        for (let i = 0; i < step.times; i += 1) await create({ ...step, atMs: step.atMs + i * 2 });
        return;
      }
      case 'edit': {
        const messageNumber = numberOf(step.which);
        const message = truth.get(messageNumber);
        const id = users.find((user) => (user === message?.senderId) !== step.stranger) ?? 0;
        const answer = message?.deletedAtMs === undefined ? 'done' : 'conflict';
        const expected = message === undefined ? 'not-found' : message.senderId === id ? answer : 'forbidden';
        const input = { ...chat, messageNumber, body: body(step.big) };
        return change(() => updateMessage(requestOf(input, id), { submit }), expected);
      }
      case 'delete': {
        const messageNumber = numberOf(step.which);
        const message = truth.get(messageNumber);
        const id = users[step.by] ?? 0;
        isMysqlFast = step.atOnce;
        // The first user has created the application.
        const isAllowed = step.by === 0 || message?.senderId === id;
        const expected = message === undefined ? 'not-found' : isAllowed ? 'done' : 'forbidden';
        return change(() => deleteMessage(requestOf({ ...chat, messageNumber }, id), { submit }), expected);
      }
      case 'persist creates':
        return deliver(creates, step, persistMessage, { messages, settles, indexing });
      case 'persist edits':
        return deliver(edits, step, persistMessageUpdate, { messages, recentMessages, settles, indexing });
      case 'read': {
        const skip = (step.page - 1) * step.limit;
        const { messages: page } = await conversation.page(chat, { skip, count: step.limit });
        expect(page.map(shown)).toEqual(sorted().slice(skip, skip + step.limit));
        return;
      }
      case 'lose window':
        await redis.del(keys.windowOrder(token, chat.chatNumber), keys.windowEntries(token, chat.chatNumber));
        return;
      case 'begin rebuild': {
        builders += 1;
        const builder = String(builders);
        if (await recentMessages.beginWindow(chat, builder)) rebuild = { builder };
        return;
      }
      case 'read rows':
        if (rebuild) rebuild.rows ??= await messages.page(chat, { skip: 0, count: 300 });
        return;
      case 'finish rebuild':
        if (rebuild?.rows) {
          await recentMessages.finishWindow(chat, rebuild.builder, rebuild.rows, rebuild.rows.length < 300);
          rebuild = undefined;
        }
        return;
      case 'new epoch':
        return reopenAfterLoss();
      case 'close gate':
        return open ? close() : reopen();
      case 'foreign create': {
        const command = createMessageCommand.schema.parse({
          ...chat,
          messageNumber: truth.size + 1,
          senderId: users[step.by],
          body: body(false),
          date: new Date(step.atMs).toISOString(),
        });
        creates.push(command);
        truth.set(command.messageNumber, {
          ...command,
          sender: handles.get(command.senderId),
          senderName: NAMES[step.by] ?? '',
          createdAtMs: step.atMs,
          version: command.commandId,
        });
        return deliver(creates, { order: [creates.length - 1], again: false, crash: false }, persistMessage, {
          messages,
          settles,
          indexing,
        });
      }
      case 'foreign edit':
      case 'foreign delete': {
        const command = updateMessageCommand.schema.parse({
          ...chat,
          messageNumber: numberOf(step.which),
          ...(step.do === 'foreign edit' ? { body: body(false) } : { body: '', deleted: true }),
          date: new Date().toISOString(),
        });
        if ((await messages.find([command])).length === 0) return;
        await deliver([command], { order: [0], again: true, crash: false }, persistMessageUpdate, {
          messages,
          recentMessages,
          settles,
          indexing,
        });
        applyToTruth(command);
      }
    }
  };

  const check = async (salt: number): Promise<void> => {
    const whole = sorted();
    const limit = 1 + (salt % 4);
    const at = new Map<number, Position>();
    for (let skip = 0; skip <= whole.length; skip += limit) {
      const { messages: page } = await onlooker.page(chat, { skip, count: limit + 1 });
      expect(page.map(shown)).toEqual(whole.slice(skip, skip + limit + 1));
      const last = page[limit - 1];
      if (last) at.set(skip + limit, last);
    }
    const from = [...at][salt % Math.max(at.size, 1)];
    if (from) {
      let [read, before]: [number, Position | undefined] = from;
      while (before !== undefined) {
        const { messages: page }: { messages: Message[] } = await onlooker.page(chat, {
          before,
          skip: 0,
          count: limit,
        });
        expect(page.map(shown)).toEqual(whole.slice(read, read + limit));
        read += page.length;
        before = page.at(-1);
      }
      expect(read).toBe(whole.length);
    }
    // The same list the other way, from the oldest message or from any other one on.
    const upwards = whole.toReversed();
    let read = salt % 3 === 0 ? 0 : salt % (upwards.length + 1);
    let after: Position | 'start' | undefined = upwards[read - 1] ?? 'start';
    while (after !== undefined) {
      const { messages: page }: { messages: Message[] } = await onlooker.page(chat, {
        after,
        skip: 0,
        count: limit,
      });
      expect(page.map(shown)).toEqual(upwards.slice(read, read + limit));
      read += page.length;
      after = page.at(-1);
    }
    expect(read).toBe(upwards.length);
    for (const one of whole.slice(0, 8)) {
      expect(shown(await onlooker.message(chat, one.messageNumber))).toEqual(one);
    }
  };

  /** Restores the state for the next run: the gate is open, and all counters are verified. */
  const tidy = async () => {
    await reopen();
    const { verifying } = await gate.status();
    if (verifying !== undefined) await gate.saveProgress(undefined, verifying.lost);
  };

  return { act, check, tidy };
};

const runSteps = async (steps: Step[], salt: number) => {
  const { act, check, tidy } = await createRun();
  try {
    for (const [i, step] of steps.entries()) {
      await act(step);
      await check(salt + i);
    }
  } finally {
    await tidy();
  }
};

/** PROPERTY_RUNS=1000 searches for rare faults. */
const runs = Number(process.env.PROPERTY_RUNS ?? 20);

describe('every page of a chat is the truth', () => {
  test.each(Object.entries(scenarios))('when %s', async (_name, steps) => {
    for (let salt = 0; salt < 4; salt += 1) await runSteps(steps, salt);
  });

  test('after any changes to its window, and in any order of storing', async () => {
    await fc.assert(fc.asyncProperty(steps, fc.nat(), runSteps), {
      numRuns: runs,
      interruptAfterTimeLimit: 300_000,
    });
  }, 400_000);
});
