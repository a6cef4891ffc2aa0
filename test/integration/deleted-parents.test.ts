import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import type * as z from 'zod';
import type { Digested } from '#lib/consumer/read-batch.ts';
import type { CommandContract } from '#lib/contracts/commands/command.ts';
import { createApplicationCommand } from '#lib/contracts/commands/create-application.ts';
import { createChatCommand } from '#lib/contracts/commands/create-chat.ts';
import { createMessageCommand } from '#lib/contracts/commands/create-message.ts';
import { updateApplicationCommand } from '#lib/contracts/commands/update-application.ts';
import { updateChatCommand } from '#lib/contracts/commands/update-chat.ts';
import { updateMessageCommand } from '#lib/contracts/commands/update-message.ts';
import type { Outcome } from '#lib/domain/batch.ts';
import { isKnownError } from '#lib/domain/errors.ts';
import type { ChatReference } from '#lib/domain/reference.ts';
import { createToken } from '#lib/domain/token.ts';
import { createApplicationDirectory } from '#lib/reading/applications.ts';
import { createChatDirectory } from '#lib/reading/chats.ts';
import { createConversation } from '#lib/reading/conversation.ts';
import { createWithSenders } from '#lib/reading/senders.ts';
import { createUnread } from '#lib/reading/unread.ts';
import { createVerification } from '#lib/recovery/verification.ts';
import { createAccepts } from '#lib/redis/commands/all.ts';
import { createOutdatedWindows } from '#lib/redis/window/outdated-windows.ts';
import { createEraseAtOnce } from '#lib/writing/erase-at-once.ts';
import { createFindStored } from '#lib/writing/find-stored.ts';
import { createMarkRead } from '#lib/writing/mark-read.ts';
import { createSubmit } from '#lib/writing/submit.ts';
import { createVerifyCounters } from '#lib/writing/verify-counters.ts';
import { received } from '../support/received.ts';
import { openGateOf, openStores, type Stores } from '../support/stores.ts';

/* Deleted chats and applications, with the real scripts and tables, and every order of the steps of their commands. */

let stores: Stores;
let ana: number;
let bo: number;
/** The published commands, by queue, with what RabbitMQ has delivered before. */
let published: Map<string, string[]>;
/** Whether MySQL takes deletions before their commands. */
let isMysqlFast = false;
let submit: ReturnType<typeof createSubmit>;

const readers = () => {
  const { directory, counters, chats, applications, markers, readMarkers, recentMessages, messages, users } =
    stores;
  const unread = createUnread({ markers, readMarkers });
  return {
    applicationDirectory: createApplicationDirectory({ directory, counters, applications }),
    chatDirectory: createChatDirectory({ directory, counters, chats, applications, unread }),
    conversation: createConversation({
      recentMessages,
      messages,
      chats,
      withSenders: createWithSenders({ users }),
    }),
    markRead: createMarkRead({
      markers,
      unread,
      verifyCounters: createVerifyCounters({ gate: stores.gate, numbers: stores.recoveryState }),
      askForRecovery: () => undefined,
    }),
  };
};

beforeAll(async () => {
  stores = await openStores(inject('urls'), 'deleted', { keyPrefix: inject('names').keyPrefix });
  [ana = 0, bo = 0] = await stores.addUsers('ana', 'bo');
  published = new Map();
  const { client, keys, gate, recoveryState, applications, chats, messages } = stores;
  const fail = (error: unknown) => {
    throw error;
  };
  const eraseAtOnce = createEraseAtOnce({ applications, chats, messages, onFailure: fail });
  submit = createSubmit({
    accepts: createAccepts({ client, keys }),
    publisher: {
      publishCommand: async (queue, { content }) => {
        published.set(queue, [...(published.get(queue) ?? []), content]);
      },
    },
    gate,
    numbers: recoveryState,
    findStored: createFindStored({ applications, chats, messages }),
    eraseAtOnce: async (queue, content) => {
      if (isMysqlFast) await eraseAtOnce(queue, content);
    },
    askForRecovery: () => undefined,
    onUnpublished: (_queue, error) => fail(error),
  });
});
afterAll(() => stores?.close());

const take = (queue: string): string[] => {
  const contents = published.get(queue) ?? [];
  published.set(queue, []);
  return contents;
};
const settled = <Stored, Command>({ stored, dead, dropped = [] }: Outcome<Command, Stored>) => ({
  stored,
  dead: [...dead.map(({ command }) => command), ...dropped],
});
/** One queue's consumer: its store and its settle step, as functions of the commands' texts. */
const consumerOf =
  <Schema extends z.ZodType<object>, Stored>(
    contract: CommandContract<Schema>,
    store: (commands: Digested<z.output<Schema>>[]) => Promise<Outcome<Digested<z.output<Schema>>, Stored>>,
    settle: (settlement: { stored: Stored[]; dead: Digested<z.output<Schema>>[] }) => Promise<void>,
  ) =>
  async (contents: readonly string[]) => {
    const outcome = await store(contents.map((content) => received(contract, content)));
    return { outcome, settle: () => settle(settled(outcome)) };
  };
const consumers = {
  'create-application': consumerOf(
    createApplicationCommand,
    (commands) => stores.applications.insert(commands),
    (settlement) => stores.settles['create-application'](settlement),
  ),
  'update-application': consumerOf(
    updateApplicationCommand,
    (commands) => stores.applications.update(commands),
    (settlement) => stores.settles['update-application'](settlement),
  ),
  'create-chat': consumerOf(
    createChatCommand,
    (commands) => stores.chats.insert(commands),
    (settlement) => stores.settles['create-chat'](settlement),
  ),
  'update-chat': consumerOf(
    updateChatCommand,
    (commands) => stores.chats.update(commands),
    (settlement) => stores.settles['update-chat'](settlement),
  ),
  'create-message': consumerOf(
    createMessageCommand,
    (commands) => stores.messages.insert(commands),
    (settlement) => stores.settles['create-message'](settlement),
  ),
  'update-message': consumerOf(
    updateMessageCommand,
    (commands) => stores.messages.update(commands),
    (settlement) => stores.settles['update-message'](settlement),
  ),
} as const;
type Queue = keyof typeof consumers;
const queues = Object.keys(consumers) as Queue[];

/** What became of the commands. */
const fates = ({ stored, deferred, dead, dropped = [] }: Outcome<unknown, unknown>) => ({
  stored: stored.length,
  deferred: deferred.length,
  dead: dead.length,
  dropped: dropped.length,
});
const dropped = (count: number) => ({ stored: 0, deferred: 0, dead: 0, dropped: count });

const deliver = async (queue: Queue, contents: readonly string[]) => {
  const { outcome, settle } = await consumers[queue](contents);
  await settle();
  return fates(outcome);
};
/** Stores and settles all published commands. */
const persist = async () => {
  for (const queue of queues) {
    const contents = take(queue);
    if (contents.length > 0) await deliver(queue, contents);
  }
};

const outcome = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'done',
    (error: unknown) => (isKnownError(error) ? error.code : Promise.reject(error)),
  );

type Place = ChatReference & { messageNumber: number };
const newChat = async ({ token, chatNumber }: Partial<ChatReference> = {}): Promise<Place> => {
  const of =
    token ?? (await submit(createApplicationCommand, { token: createToken(), name: 'a', creatorId: ana }));
  const number =
    chatNumber ?? (await submit(createChatCommand, { token: of, creatorId: bo, title: 'secret' }));
  const messageNumber = await send({ token: of, chatNumber: number });
  return { token: of, chatNumber: number, messageNumber };
};
const send = (chat: ChatReference, key?: string): Promise<number> =>
  submit(
    createMessageCommand,
    { ...at(chat), senderId: bo, senderName: 'bo', body: 'secret', createdAtMs: Date.now() },
    key === undefined ? undefined : { key, fingerprint: 'f' },
  );
const at = ({ token, chatNumber }: ChatReference): ChatReference => ({ token, chatNumber });
const deleteChat = (chat: ChatReference, callerId = bo, key?: string) =>
  outcome(
    submit(
      updateChatCommand,
      { ...at(chat), deleted: true, callerId },
      key === undefined ? undefined : { key, fingerprint: 'f' },
    ),
  );
const deleteApplication = (token: string, callerId = ana) =>
  outcome(submit(updateApplicationCommand, { token, deleted: true, callerId }));

/** The outcome of everything that somebody may do with a chat. */
const uses = async (chat: Place): Promise<string[]> => {
  const { chatDirectory, conversation, markRead } = readers();
  return [
    await outcome(chatDirectory.get(ana, chat.token, chat.chatNumber)),
    await outcome(chatDirectory.messagesCount(chat.token, chat.chatNumber)),
    await outcome(conversation.page(chat, { skip: 0, count: 10 })),
    await outcome(conversation.message(chat, chat.messageNumber)),
    await outcome(send(chat)),
    await outcome(submit(updateMessageCommand, { ...chat, body: 'edit', callerId: bo })),
    await outcome(submit(updateChatCommand, { ...at(chat), title: 'edit', callerId: bo })),
    await outcome(markRead({ id: ana, generation: 0 }, chat, 1)),
    await deleteChat(chat),
  ];
};
const gone = Array(9).fill('not-found');

/** Redis forgets the marks, as a day later. */
const forgetMarks = ({ token, chatNumber }: ChatReference) =>
  stores.redis.del(stores.keys.chatCounter(token, chatNumber));
/** Redis forgets what expires within a day. */
const letExpire = async (of: { token: string; chatNumber?: number }) => {
  const counter = stores.keys.counter(of);
  if ((await stores.redis.ttl(counter)) >= 0) await stores.redis.del(counter);
};
const countOf = (chat: { token: string; chatNumber?: number }) =>
  stores.redis.get(stores.keys.counter({ token: chat.token, chatNumber: chat.chatNumber }));
const rowOf = async ({ token, chatNumber }: ChatReference) => {
  const [row] = await stores.database.select(
    'SELECT title, deleted_at IS NOT NULL AS deleted, version FROM chats WHERE token = ? AND number = ?',
    [token, chatNumber],
  );
  return row && { title: row.title, isDeleted: row.deleted === 1, version: Number(row.version) };
};
const messagesOf = async ({ token, chatNumber }: ChatReference): Promise<number> => {
  const [row] = await stores.database.select(
    'SELECT COUNT(*) AS count FROM messages WHERE token = ? AND chat_number = ?',
    [token, chatNumber],
  );
  return Number(row?.count);
};
const close = async () => {
  await stores.redis.hdel(stores.keys.state, `run:${(await stores.client.connection()).server}`);
};
/** Opens the gate like a recovery that found a loss. @returns the epoch of the loss */
const openAfterLoss = async (): Promise<string> => {
  await close();
  await openGateOf(
    stores.gate,
    Math.max(Number(await stores.redis.hget(stores.keys.state, 'clock')), Date.now() * 1000) + 1,
  );
  return (await stores.redis.hget(stores.keys.state, 'lost')) ?? '';
};
const verifyAll = async () => {
  const { gate, recoveryState, applications, chats } = stores;
  const log = () => undefined;
  const outdatedWindows = createOutdatedWindows(stores);
  const uses = { gate, recoveryState, applications, chats, outdatedWindows };
  await createVerification(uses)({ remainingMs: () => 10_000, log });
};

const places: [string, () => Promise<unknown>][] = [
  ['pending', async () => undefined],
  ['stored', persist],
];
describe.each(places)('a chat that is %s', (_place, bring) => {
  test('is gone for every use once it is deleted, and while its deletion is stored and settled', async () => {
    const chat = await newChat();
    await bring();
    expect(await deleteChat(chat)).toBe('done');
    expect(await uses(chat)).toEqual(gone);
    await persist();
    expect(await uses(chat)).toEqual(gone);
    expect(await rowOf(chat)).toMatchObject({ title: null, isDeleted: true });
    await forgetMarks(chat);
    expect(await uses(chat)).toEqual(gone);
  });

  test('is deleted by its creator and by that of its application, and by nobody else', async () => {
    const [one, other] = [await newChat(), await newChat()];
    const [cleo = 0] = await stores.addUsers(`cleo-${randomUUID()}`);
    await bring();
    expect(await deleteChat(one, cleo)).toBe('forbidden');
    expect(await deleteChat(one, ana)).toBe('done');
    expect(await deleteChat(other, bo)).toBe('done');
  });

  test('leaves a hole in the list, and its number is not given again', async () => {
    const first = await newChat();
    const second = await newChat({ token: first.token });
    const third = await newChat({ token: first.token });
    await bring();
    const list = async (skip: number, count: number) => {
      const found = await readers().chatDirectory.list(ana, first.token, { skip, count });
      return [found.chats.map(({ chatNumber }) => chatNumber), found.hasMore];
    };
    await deleteChat(second);
    await deleteChat(third);
    expect(await list(0, 2)).toEqual([[1], true]);
    expect(await list(1, 1)).toEqual([[], true]);
    expect(await list(0, 3)).toEqual([[1], false]);
    await persist();
    expect(await list(0, 2)).toEqual([[1], true]);
    await close();
    expect(await list(0, 2)).toEqual([[1], true]);
    expect(await list(0, 3)).toEqual([[1], false]);
    await openGateOf(stores.gate);
    expect((await readers().applicationDirectory.get(first.token)).chatsCount).toBe(3);
    expect(await submit(createChatCommand, { token: first.token, creatorId: ana })).toBe(4);
  });

  test('with a deleted application takes no message, and is in no list', async () => {
    const chat = await newChat();
    await bring();
    const { applicationDirectory, chatDirectory } = readers();
    const listed = async () =>
      (await applicationDirectory.list(ana, { skip: 0, count: 100 })).items.map(({ token }) => token);
    expect(await listed()).toContain(chat.token);
    expect(await deleteApplication(chat.token, bo)).toBe('forbidden');
    expect(await deleteApplication(chat.token)).toBe('done');
    const ofApplication = async () => [
      await outcome(applicationDirectory.get(chat.token)),
      await outcome(chatDirectory.list(ana, chat.token, { skip: 0, count: 1 })),
      await outcome(submit(createChatCommand, { token: chat.token, creatorId: ana })),
      await outcome(submit(updateApplicationCommand, { token: chat.token, name: 'n', callerId: ana })),
      await deleteApplication(chat.token),
    ];
    for (const step of [
      async () => undefined,
      persist,
      () => stores.redis.del(stores.keys.applicationCounter(chat.token)),
    ]) {
      await step();
      expect(await uses(chat)).toEqual(gone);
      expect(await ofApplication()).toEqual(Array(5).fill('not-found'));
      expect(await listed()).not.toContain(chat.token);
    }
  });

  test('answers a repeated request with its key as before, and publishes nothing below it', async () => {
    const chat = await newChat();
    const key = randomUUID();
    const number = await send(chat, key);
    await bring();
    expect(await deleteChat(chat, bo, `${key}-deletion`)).toBe('done');
    published.set('create-message', []);
    expect(await send(chat, key)).toBe(number);
    expect(take('create-message')).toEqual([]);
    // A second run after a lost answer has the key of the first one.
    expect(await deleteChat(chat, bo, `${key}-deletion`)).toBe('done');
    expect(await deleteChat(chat, bo)).toBe('not-found');
    await persist();
  });
});

describe('a deletion and the creation of its chat', () => {
  test('settled in the other order leave the mark', async () => {
    const chat = await newChat();
    await deleteChat(chat);
    await deliver('create-application', take('create-application'));
    const creation = await consumers['create-chat'](take('create-chat'));
    expect(await deliver('update-chat', take('update-chat'))).toMatchObject({ stored: 1 });
    await creation.settle();
    expect(await countOf(chat)).toBe('deleted');
    expect(await stores.redis.exists(stores.keys.pendingChats(chat.token))).toBe(0);
    expect(await uses(chat)).toEqual(gone);
    await persist();
  });

  test('stored in the other order: the deletion waits as long as the creation is pending', async () => {
    const chat = await newChat();
    await deleteChat(chat);
    const deletion = take('update-chat');
    expect(await deliver('update-chat', deletion)).toMatchObject({ deferred: 1 });
    const { directory, chats, settles } = stores;
    const { persistChatUpdate } = await import('../../functions/consumers/persist-chat-update.ts');
    const commands = deletion.map((content) => received(updateChatCommand, content));
    const waiting = () => persistChatUpdate.waitsOn?.({ chats, directory, settles }, commands);
    expect((await waiting())?.size).toBe(1);
    await persist();
    expect((await waiting())?.size).toBe(1);
    expect(await deliver('update-chat', deletion)).toMatchObject({ stored: 1 });
    expect(await rowOf(chat)).toMatchObject({ title: null, isDeleted: true });
    const none = commands.map((command) => ({ ...command, chatNumber: 999 }));
    expect((await persistChatUpdate.waitsOn?.({ chats, directory, settles }, none))?.size).toBe(0);
  });

  test('that comes again after the mark has expired makes no counter', async () => {
    const chat = await newChat();
    const creation = published.get('create-chat') ?? [];
    await persist();
    await deleteChat(chat);
    await persist();
    await forgetMarks(chat);
    expect(await deliver('create-chat', creation)).toEqual(dropped(1));
    expect(await countOf(chat)).toBeNull();
    expect(await uses(chat)).toEqual(gone);
  });

  test('is stored by the handler at once, and the command changes nothing any more', async () => {
    const chat = await newChat();
    await persist();
    isMysqlFast = true;
    await deleteChat(chat).finally(() => {
      isMysqlFast = false;
    });
    const row = await rowOf(chat);
    expect(row).toMatchObject({ title: null, isDeleted: true });
    await persist();
    expect(await rowOf(chat)).toEqual(row);
  });

  test('that is pending for longer than a day leaves the mark', async () => {
    const chat = await newChat();
    await deliver('create-application', take('create-application'));
    await deleteChat(chat);
    await letExpire(chat);
    expect(await uses(chat)).toEqual(gone);
    await deliver('create-chat', take('create-chat'));
    await deliver('create-message', take('create-message'));
    await letExpire(chat);
    expect(await countOf(chat)).toBe('deleted');
    expect(await uses(chat)).toEqual(gone);
    await persist();
    const ttl = await stores.redis.ttl(stores.keys.chatCounter(chat.token, chat.chatNumber));
    expect(ttl).toBeGreaterThan(86_000);
    expect(ttl).toBeLessThanOrEqual(86_400);
    expect(await uses(chat)).toEqual(gone);
  });

  test('of an application that is pending for longer than a day leaves its mark, and takes one from its chats', async () => {
    const stored = await newChat();
    await persist();
    const pending = await newChat({ token: stored.token });
    const application = { token: stored.token };
    await submit(updateApplicationCommand, { ...application, name: 'other', callerId: ana });
    const rename = take('update-application');
    await deleteApplication(stored.token);
    const deletion = take('update-application');
    await letExpire(application);
    await deliver('update-application', rename);
    await letExpire(application);
    expect(await countOf(application)).toBe('deleted');
    await deliver('update-application', deletion);
    for (const queue of ['create-chat', 'create-message'] as const)
      expect(await deliver(queue, take(queue))).toEqual(dropped(1));
    // Its row does not exist, so no erasure finds it.
    expect(await countOf(pending)).toBe('deleted');
    expect(await stores.redis.zscore(stores.keys.dirtyChats, `${pending.token}:2`)).toBeNull();
    await letExpire(application);
    await letExpire(pending);
    expect([await countOf(application), await countOf(pending)]).toEqual([null, null]);
    expect(await uses(pending)).toEqual(gone);
    expect(await uses(stored)).toEqual(gone);
  });

  test('does not hit a chat whose number was given again after a loss, and one by another program hits any', async () => {
    const chat = await newChat();
    await persist();
    const { chats } = stores;
    const [row] = await stores.database.select('SELECT command_id AS id FROM chats WHERE token = ?', [
      chat.token,
    ]);
    const before = {
      ...at(chat),
      deleted: true as const,
      editedAtMs: Date.now(),
      commandId: row?.id - 1,
      version: row?.id - 1,
      epoch: 1,
    };
    await chats.blank(chat, { deletedAtMs: Date.now(), commandId: row?.id - 1 });
    expect(fates(await chats.update([before]))).toMatchObject({ stored: 1 });
    await stores.settles['update-chat'](settled(await chats.update([before])));
    expect(await rowOf(chat)).toMatchObject({ title: 'secret', isDeleted: false });
    expect(await countOf(chat)).toBe('1');
    // Behind the deletion of the earlier chat, one of this chat in the same batch counts.
    const after = { ...before, commandId: row?.id + 1, version: row?.id + 1 };
    await chats.update([before, after]);
    expect(await rowOf(chat)).toMatchObject({ title: null, isDeleted: true });
    const other = await newChat();
    await persist();
    const { epoch: _, ...foreign } = { ...before, ...at(other), commandId: 5, version: 5 };
    await chats.update([foreign]);
    expect(await rowOf(other)).toMatchObject({ title: null, isDeleted: true });
  });
});

describe('items of other programs, dated ahead', () => {
  /** An application, a chat and a message of bare commands of the contract, dated almost a day ahead. */
  const newForeign = async (): Promise<Place> => {
    const chat = { token: createToken(), chatNumber: 1, messageNumber: 1 };
    const date = new Date(Date.now() + 23 * 60 * 60 * 1000).toISOString();
    const { token, chatNumber } = chat;
    const commands = {
      'create-application': { token, name: 'secret', creatorId: ana, date },
      'create-chat': { token, chatNumber, creatorId: bo, title: 'secret', date },
      'create-message': { ...chat, senderId: bo, body: 'secret', date },
    } as const;
    for (const queue of ['create-application', 'create-chat', 'create-message'] as const)
      expect(await deliver(queue, [JSON.stringify(commands[queue])])).toMatchObject({ stored: 1 });
    return chat;
  };
  const stateOf = async ({ token }: Place) => {
    const [row] = await stores.database.select(
      `SELECT a.name, a.deleted_at IS NOT NULL AS application, c.title, c.deleted_at IS NOT NULL AS chat, m.body,
         m.deleted_at IS NOT NULL AS message
       FROM applications a JOIN chats c ON c.application_id = a.id JOIN messages m ON m.chat_id = c.id WHERE a.token = ?`,
      [token],
    );
    return { ...row };
  };
  const whole = { name: 'secret', application: 0, title: 'secret', chat: 0, body: 'secret', message: 0 };
  const remove: Record<'message' | 'chat' | 'application', (chat: Place) => Promise<string>> = {
    message: (chat) =>
      outcome(submit(updateMessageCommand, { ...chat, body: '', deleted: true, callerId: bo })),
    chat: (chat) => deleteChat(chat),
    application: ({ token }) => deleteApplication(token),
  };
  const changed = {
    message: { body: '', message: 1 },
    chat: { title: null, chat: 1 },
    application: { name: '', application: 1 },
  } as const;

  test.each(['message', 'chat', 'application'] as const)(
    'the deletion of a %s reaches its row, by the handler or by the command',
    async (what) => {
      for (const isAtOnce of [true, false]) {
        const chat = await newForeign();
        isMysqlFast = isAtOnce;
        expect(await remove[what](chat)).toBe('done');
        isMysqlFast = false;
        expect(await stateOf(chat)).toEqual(isAtOnce ? { ...whole, ...changed[what] } : whole);
        await persist();
        expect(await stateOf(chat)).toEqual({ ...whole, ...changed[what] });
      }
    },
  );

  test('a title and a name reach their rows, and an edited item is deleted as well', async () => {
    const chat = await newForeign();
    await submit(updateChatCommand, { ...at(chat), title: 'new', callerId: bo });
    await submit(updateApplicationCommand, { token: chat.token, name: 'new', callerId: ana });
    await submit(updateMessageCommand, { ...chat, body: 'new', callerId: bo });
    await persist();
    expect(await stateOf(chat)).toEqual({ ...whole, name: 'new', title: 'new', body: 'new' });
    for (const what of ['message', 'chat', 'application'] as const) {
      expect(await remove[what](chat)).toBe('done');
      await persist();
    }
    expect(await stateOf(chat)).toEqual({
      ...whole,
      ...changed.application,
      ...changed.chat,
      ...changed.message,
    });
  });
});

describe('a late command', () => {
  /** The contents of these commands of a chat, before all of it was deleted and the marks have expired. */
  const givenLate = async (what: 'chat' | 'application') => {
    const chat = await newChat();
    await persist();
    await submit(updateMessageCommand, { ...chat, body: 'late', callerId: bo });
    await submit(updateChatCommand, { ...at(chat), title: 'late', callerId: bo });
    await submit(updateApplicationCommand, { token: chat.token, name: 'late', callerId: ana });
    await send(chat);
    const late = Object.fromEntries(queues.map((queue) => [queue, take(queue)])) as Record<Queue, string[]>;
    expect(await (what === 'chat' ? deleteChat(chat) : deleteApplication(chat.token))).toBe('done');
    await persist();
    await forgetMarks(chat);
    return { chat, late };
  };

  test.each(['chat', 'application'] as const)(
    'into a deleted %s is dropped, and leaves nothing',
    async (what) => {
      const { chat, late } = await givenLate(what);
      for (const queue of ['create-message', 'update-message', 'update-chat'] as const) {
        expect([queue, await deliver(queue, late[queue])]).toEqual([queue, dropped(1)]);
        // A redriven dead letter is the same command once more.
        expect([queue, await deliver(queue, late[queue])]).toEqual([queue, dropped(1)]);
      }
      if (what === 'application')
        expect(await deliver('update-application', late['update-application'])).toEqual(dropped(1));
      expect(await countOf(chat)).toBeNull();
      expect(await messagesOf(chat)).toBe(1);
      expect(await uses(chat)).toEqual(gone);
      const { client: _, keys, redis } = stores;
      expect(
        await redis.exists(
          keys.pendingOrder(chat.token, chat.chatNumber),
          keys.pendingEdits(chat.token, chat.chatNumber),
        ),
      ).toBe(0);
      expect(JSON.stringify(await redis.zrange(keys.indexOutbox, 0, '-1'))).not.toContain(
        `${chat.token}:1:2`,
      );
    },
  );

  test('whose chat was never stored, because the application is deleted, does not wait for it', async () => {
    const token = await submit(createApplicationCommand, { token: createToken(), name: 'a', creatorId: ana });
    await persist();
    const chat = await newChat({ token });
    await submit(updateMessageCommand, { ...chat, body: 'late', callerId: bo });
    await submit(updateChatCommand, { ...at(chat), title: 'late', callerId: bo });
    await deleteApplication(token);
    await deliver('update-application', take('update-application'));
    for (const queue of ['create-chat', 'create-message', 'update-message', 'update-chat'] as const)
      expect([queue, await deliver(queue, take(queue))]).toEqual([queue, dropped(1)]);
    expect(await rowOf(chat)).toBeUndefined();
  });

  test('leaves no count or marker that waits for its chat for ever', async () => {
    const [gone, present] = [await newChat(), await newChat()];
    await persist();
    // Chats without a row, the first one in a deleted application.
    const of = [gone, present].map(({ token }) => ({ token, chatNumber: 7 }));
    await deleteApplication(gone.token);
    await deliver('update-application', take('update-application'));
    const counts = of.map((chat) => ({ ...chat, count: 3 }));
    const markers = of.map((chat) => ({ ...chat, userId: bo, number: 2 }));
    expect(await stores.chats.raiseMessagesCounts(counts)).toEqual(counts.slice(0, 1));
    expect(await stores.readMarkers.raise(markers)).toEqual(markers.slice(0, 1));
  });

  test('that was deferred before releases its reservation', async () => {
    const { chat, late } = await givenLate('chat');
    const [content = ''] = late['create-message'];
    const { commandId } = JSON.parse(content);
    await stores.database.write(
      'INSERT INTO reservations (token, chat_number, number, command_id) VALUES (?, ?, 2, ?)',
      [chat.token, chat.chatNumber, commandId],
    );
    expect(await deliver('create-message', [content])).toEqual(dropped(1));
    expect(
      await stores.database.select('SELECT id FROM reservations WHERE command_id = ?', [commandId]),
    ).toEqual([]);
  });

  test('does not slip in beside the deletion: that waits for the transaction of the message', async () => {
    const chat = await newChat();
    await persist();
    await Promise.all(Array.from({ length: 20 }, () => send(chat)));
    const contents = take('create-message');
    const [late] = await Promise.all([
      Promise.all(contents.map((content) => deliver('create-message', [content]))),
      stores.chats.blank(chat, { deletedAtMs: Date.now(), commandId: Date.now() * 1000 }),
    ]);
    const stored = late.reduce((sum, one) => sum + one.stored, 0);
    expect(await messagesOf(chat)).toBe(1 + stored);
    expect(stored + late.reduce((sum, one) => sum + one.dropped, 0)).toBe(20);
  });
});

describe('an edit of a title', () => {
  test.each([1, -1])('never brings a deleted chat back, whatever its id (%i)', async (difference) => {
    const chat = await newChat();
    await persist();
    await deleteChat(chat);
    await persist();
    const { version = 0 } = (await rowOf(chat)) ?? {};
    const edit = {
      ...at(chat),
      title: 'back',
      editedAtMs: Date.now(),
      commandId: version + difference,
      version: version + difference,
    };
    expect(fates(await stores.chats.update([edit]))).toEqual(dropped(1));
    expect(await rowOf(chat)).toEqual({ title: null, isDeleted: true, version });
  });

  test('stored after a deletion with a lower id leaves a higher version', async () => {
    const chat = await newChat();
    await persist();
    const now = Date.now() * 1000;
    const edit = { ...at(chat), title: 'later id', editedAtMs: Date.now(), commandId: now, version: now };
    const deletion = {
      ...at(chat),
      deleted: true as const,
      editedAtMs: Date.now(),
      commandId: now - 1,
      version: now - 1,
    };
    await stores.chats.update([edit]);
    await stores.chats.update([deletion]);
    expect(await rowOf(chat)).toEqual({ title: null, isDeleted: true, version: now + 1 });
  });
});

describe('a loss of Redis', () => {
  test('between a deletion and its storing leaves the chat deleted', async () => {
    const chat = await newChat();
    await persist();
    await deleteChat(chat);
    // RabbitMQ has the deletion, Redis has lost everything of it.
    await stores.redis.del(stores.keys.outbox('update-chat'));
    await stores.redis.set(stores.keys.chatCounter(chat.token, chat.chatNumber), '1');
    await persist();
    await openAfterLoss();
    expect(await uses(chat)).toEqual(gone);
    expect(await countOf(chat)).toBe('deleted');
  });

  test.each(['chat', 'application'] as const)(
    'that brings the counter of a deleted %s back: verification marks it',
    async (what) => {
      const chat = await newChat();
      await persist();
      await (what === 'chat' ? deleteChat(chat) : deleteApplication(chat.token));
      await persist();
      const { redis, keys } = stores;
      await redis.mset(
        keys.applicationCounter(chat.token),
        '1',
        keys.chatCounter(chat.token, chat.chatNumber),
        '1',
      );
      await openAfterLoss();
      expect(await uses(chat)).toEqual(gone);
      await redis.mset(
        keys.applicationCounter(chat.token),
        '1',
        keys.chatCounter(chat.token, chat.chatNumber),
        '1',
      );
      await openAfterLoss();
      await verifyAll();
      expect(await countOf(what === 'chat' ? chat : { token: chat.token })).toBe('deleted');
      expect(await uses(chat)).toEqual(gone);
    },
  );

  test.each(['chat', 'application'] as const)(
    'that brings the pending creation of a deleted %s back shows it in no list',
    async (what) => {
      const chat = await newChat();
      const { redis, keys } = stores;
      const creations = await Promise.all(
        [keys.pendingChats(chat.token), keys.application(chat.token), keys.pendingApplications(ana)].map(
          async (key) => ({ key, dump: await redis.dumpBuffer(key) }),
        ),
      );
      await persist();
      await (what === 'chat' ? deleteChat(chat) : deleteApplication(chat.token));
      await persist();
      const { applicationDirectory, chatDirectory } = readers();
      const isListed = async () => ({
        application: (await applicationDirectory.list(ana, { skip: 0, count: 50 })).items.some(
          ({ token }) => token === chat.token,
        ),
        chats: await chatDirectory.list(ana, chat.token, { skip: 0, count: 10 }).then(
          ({ chats }) => chats.length,
          () => 0,
        ),
      });
      expect(await isListed()).toEqual({ application: what === 'chat', chats: 0 });
      for (const { key, dump } of creations) if (dump !== null) await redis.restore(key, 0, dump, 'REPLACE');
      await redis.mset(
        keys.applicationCounter(chat.token),
        '1',
        keys.chatCounter(chat.token, chat.chatNumber),
        '1',
      );
      const lost = await openAfterLoss();
      expect(await isListed()).toEqual({ application: what === 'chat', chats: 0 });
      const { gate, recoveryState: numbers } = stores;
      await createVerifyCounters({ gate, numbers })([{ token: chat.token }], lost);
      expect(await isListed()).toEqual({ application: what === 'chat', chats: 0 });
      await verifyAll();
      expect(await isListed()).toEqual({ application: what === 'chat', chats: 0 });
    },
  );

  test('of all keys: writes to a chat verify it and its application in one call', async () => {
    const chat = await newChat();
    await persist();
    const { redis, keys } = stores;
    await redis.del(keys.applicationCounter(chat.token), keys.chatCounter(chat.token, chat.chatNumber));
    await openAfterLoss();
    expect(await outcome(send(chat))).toBe('done');
    expect(await countOf(chat)).toBe('2');
    await verifyAll();
    await persist();
  });
});

test('without Redis, MySQL knows which chats are deleted', async () => {
  const [chat, other] = [await newChat(), await newChat()];
  await persist();
  await deleteChat(chat);
  await deleteApplication(other.token);
  await persist();
  await forgetMarks(chat);
  await stores.redis.del(stores.keys.applicationCounter(other.token));
  await close();
  try {
    const { chatDirectory, conversation, applicationDirectory } = readers();
    for (const place of [chat, other]) {
      expect(await outcome(chatDirectory.get(ana, place.token, place.chatNumber))).toBe('not-found');
      expect(await outcome(conversation.page(place, { skip: 0, count: 10 }))).toBe('not-found');
      expect(await outcome(conversation.message(place, 1))).toBe('not-found');
    }
    expect(await outcome(applicationDirectory.get(other.token))).toBe('not-found');
    expect(await outcome(chatDirectory.list(ana, other.token, { skip: 0, count: 10 }))).toBe('not-found');
  } finally {
    await openGateOf(stores.gate);
  }
});

test('a sync of counts passes a mark, and leaves none of its own', async () => {
  const chat = await newChat();
  const { counters, redis, keys } = stores;
  await deleteChat(chat);
  // A counter that was marked as changed before it was deleted.
  await redis.zadd(keys.dirtyChats, 1, `${chat.token}:${chat.chatNumber}`);
  const dirty = await counters.dirty('chats', { until: Date.now(), skip: 0, count: 1_000 });
  const ours = dirty.filter(({ token }) => token === chat.token);
  expect(ours).toEqual([{ ...at(chat), count: 0 }]);
  await persist();
  await stores.chats.raiseMessagesCounts([{ ...at(chat), count: 0 }]);
  await counters.clean('chats', ours);
  expect(await redis.zscore(keys.dirtyChats, `${chat.token}:${chat.chatNumber}`)).toBeNull();
});
