import { afterAll, beforeAll, describe, expect, inject, test, vi } from 'vitest';
import { createApplicationCommand } from '#lib/contracts/commands/create-application.ts';
import { createChatCommand } from '#lib/contracts/commands/create-chat.ts';
import { createMessageCommand } from '#lib/contracts/commands/create-message.ts';
import { updateApplicationCommand } from '#lib/contracts/commands/update-application.ts';
import { updateChatCommand } from '#lib/contracts/commands/update-chat.ts';
import { updateMessageCommand } from '#lib/contracts/commands/update-message.ts';
import type { Outcome } from '#lib/domain/batch.ts';
import { isKnownError } from '#lib/domain/errors.ts';
import type { MessageReference } from '#lib/domain/reference.ts';
import { createToken } from '#lib/domain/token.ts';
import { createApplicationDirectory } from '#lib/reading/applications.ts';
import { createChatDirectory } from '#lib/reading/chats.ts';
import { createConversation } from '#lib/reading/conversation.ts';
import { createWithSenders } from '#lib/reading/senders.ts';
import { createUnread } from '#lib/reading/unread.ts';
import { createAccepts } from '#lib/redis/commands/all.ts';
import { createFindStored } from '#lib/writing/find-stored.ts';
import { createSubmit } from '#lib/writing/submit.ts';
import { received } from '../support/received.ts';
import { openGateOf, openStores, type Stores } from '../support/stores.ts';

/*
 * Edits with `If-Match`: of items whose version only Redis has, both have, or only MySQL has. Every edit goes through the
 * real scripts and tables.
 */

let stores: Stores;
let ana: number;
let bo: number;
let cleo: number;
/** The published commands, by queue. */
let published: Map<string, string[]>;
/** Runs between the look-up of an item in MySQL and the next try. */
let afterLookUp: () => Promise<void>;
let submit: ReturnType<typeof createSubmit>;

beforeAll(async () => {
  stores = await openStores(inject('urls'), 'conditional', { keyPrefix: inject('names').keyPrefix });
  [ana = 0, bo = 0, cleo = 0] = await stores.addUsers('ana', 'bo', 'cleo');
  published = new Map();
  afterLookUp = async () => undefined;
  const { client, keys, gate, recoveryState, applications, chats, messages } = stores;
  const findStored = createFindStored({ applications, chats, messages });
  submit = createSubmit({
    accepts: createAccepts({ client, keys }),
    publisher: {
      publishCommand: async (queue, { content }) => {
        published.set(queue, [...(published.get(queue) ?? []), content]);
      },
    },
    gate,
    numbers: recoveryState,
    findStored: async (item) => {
      const found = await findStored(item);
      await afterLookUp();
      return found;
    },
    eraseAtOnce: async () => undefined,
    askForRecovery: () => undefined,
    onUnpublished: (_queue, error) => {
      throw error;
    },
  });
});
afterAll(() => stores?.close());

const take = (queue: string): string[] => {
  const contents = published.get(queue) ?? [];
  published.set(queue, []);
  return contents;
};

/** @throws when MySQL did not store all */
const stored = <Stored>({ stored, deferred, dead }: Outcome<unknown, Stored>) => {
  expect([...deferred, ...dead]).toEqual([]);
  return { stored, dead: [] };
};

/** Stores and settles the published commands, as the consumers do. */
const persist = async () => {
  const { applications, chats, messages, settles } = stores;
  const created = take('create-application').map((content) => received(createApplicationCommand, content));
  if (created.length > 0) await settles['create-application'](stored(await applications.insert(created)));
  const newChats = take('create-chat').map((content) => received(createChatCommand, content));
  if (newChats.length > 0) await settles['create-chat'](stored(await chats.insert(newChats)));
  const sent = take('create-message').map((content) => received(createMessageCommand, content));
  if (sent.length > 0) await settles['create-message'](stored(await messages.insert(sent)));
  const renamed = take('update-application').map((content) => received(updateApplicationCommand, content));
  if (renamed.length > 0) await settles['update-application'](stored(await applications.update(renamed)));
  const titled = take('update-chat').map((content) => received(updateChatCommand, content));
  if (titled.length > 0) await settles['update-chat'](stored(await chats.update(titled)));
  const edits = take('update-message').map((content) => received(updateMessageCommand, content));
  if (edits.length > 0) await settles['update-message'](stored(await messages.update(edits)));
};

const outcome = (edit: Promise<unknown>): Promise<string> =>
  edit.then(
    () => 'done',
    (error: unknown) => (isKnownError(error) ? error.code : Promise.reject(error)),
  );

/** An item that can be edited, and how a client sees it. */
type Editable = {
  edit: (text: string, expected?: number[], callerId?: number) => Promise<string>;
  /** The version and the text that a GET answers. */
  read: () => Promise<{ version: number; text: string }>;
  /** Removes the window, or the name, from Redis. */
  forget: () => Promise<unknown>;
  /** The key of the look-up. */
  lookedUp: string;
};

const newMessage = async (
  senderId = ana,
): Promise<
  Editable & {
    remove: (expected?: number[], callerId?: number) => Promise<string>;
    readEditedAtMs: () => Promise<number>;
    application: string;
  }
> => {
  const token = await submit(createApplicationCommand, { token: createToken(), name: 'a', creatorId: ana });
  const chatNumber = await submit(createChatCommand, { token, creatorId: ana });
  const message = { token, chatNumber, senderId, senderName: 'ana', body: 'first', createdAtMs: 1_000 };
  const messageNumber = await submit(createMessageCommand, message);
  const reference: MessageReference = { token, chatNumber, messageNumber };
  const { keys, redis, recentMessages, messages, chats, users } = stores;
  const withSenders = createWithSenders({ users });
  const conversation = createConversation({ recentMessages, messages, chats, withSenders });
  return {
    edit: (body, expected, callerId = ana) =>
      outcome(submit(updateMessageCommand, { ...reference, body, callerId, expected })),
    remove: (expected, callerId = senderId) =>
      outcome(submit(updateMessageCommand, { ...reference, body: '', deleted: true, callerId, expected })),
    application: keys.application(token),
    read: async () => {
      const { version, body } = await conversation.message(reference, messageNumber);
      return { version, text: body };
    },
    readEditedAtMs: async () => (await conversation.message(reference, messageNumber)).editedAtMs ?? 0,
    forget: () => redis.del(keys.windowOrder(token, chatNumber), keys.windowEntries(token, chatNumber)),
    lookedUp: keys.lookedUp(reference),
  };
};

const newChat = async (creatorId = ana): Promise<Editable & { token: string; chatNumber: number }> => {
  const token = await submit(createApplicationCommand, { token: createToken(), name: 'a', creatorId: ana });
  const chatNumber = await submit(createChatCommand, { token, creatorId, title: 'first' });
  const { keys, redis, directory, counters, applications, chats, markers, readMarkers } = stores;
  const unread = createUnread({ markers, readMarkers });
  const chatDirectory = createChatDirectory({ directory, counters, chats, applications, unread });
  return {
    token,
    chatNumber,
    edit: (title, expected, callerId = ana) =>
      outcome(submit(updateChatCommand, { token, chatNumber, title, callerId, expected })),
    read: async () => {
      const { version, title = '' } = await chatDirectory.get(creatorId, token, chatNumber);
      return { version, text: title };
    },
    // Redis keeps no stored chat, and the creator of the application for an hour.
    forget: () => redis.del(keys.application(token)),
    lookedUp: keys.lookedUp({ token, chatNumber }),
  };
};

const newApplication = async (): Promise<Editable> => {
  const token = await submit(createApplicationCommand, {
    token: createToken(),
    name: 'first',
    creatorId: ana,
  });
  const { keys, redis, directory, counters, applications } = stores;
  const applicationDirectory = createApplicationDirectory({ directory, counters, applications });
  return {
    edit: (name, expected, callerId = ana) =>
      outcome(submit(updateApplicationCommand, { token, name, callerId, expected })),
    read: async () => {
      const { version, name } = await applicationDirectory.get(token);
      return { version, text: name };
    },
    forget: () => redis.del(keys.application(token)),
    lookedUp: keys.lookedUp({ token }),
  };
};

const places: [string, (item: Editable) => Promise<unknown>][] = [
  ['pending', async () => undefined],
  ['pending with an edit', (item) => item.edit('second')],
  ['stored, and still in Redis', persist],
  [
    'stored with an edit, and still in Redis',
    async (item) => {
      await item.edit('second');
      await persist();
    },
  ],
  [
    'only in MySQL',
    async (item) => {
      await persist();
      await item.forget();
    },
  ],
  [
    'in MySQL, with a pending edit',
    async (item) => {
      await persist();
      await item.forget();
      await item.edit('second');
    },
  ],
];

describe.each([
  ['message', newMessage],
  ['chat', () => newChat()],
  ['application', newApplication],
])('an edit of a %s with If-Match', (_what, newItem) => {
  describe.each(places)('that is %s', (_place, bring) => {
    test('is taken with the version that a GET answers, once', async () => {
      const item = await newItem();
      await bring(item);
      const { version } = await item.read();
      expect(await item.edit('by the version', [version])).toBe('done');
      expect(await item.edit('again', [version])).toBe('precondition-failed');
      expect((await item.read()).text).toBe('by the version');
      expect(await item.edit('by any of them', [1, (await item.read()).version])).toBe('done');
    });

    test('is taken of one of many writers that have read the same version', async () => {
      const item = await newItem();
      await bring(item);
      const { version } = await item.read();
      const outcomes = await Promise.all(
        Array.from({ length: 20 }, (_, writer) => item.edit(`by ${writer}`, [version])),
      );
      expect(outcomes.filter((one) => one === 'done')).toHaveLength(1);
      expect(outcomes.filter((one) => one === 'precondition-failed')).toHaveLength(19);
      expect((await item.read()).text).toBe(`by ${outcomes.indexOf('done')}`);
    });

    test('is refused with no version of it, and changes nothing', async () => {
      const item = await newItem();
      await bring(item);
      const before = await item.read();
      expect(await item.edit('none', [])).toBe('precondition-failed');
      expect(await item.edit('older', [before.version - 1])).toBe('precondition-failed');
      expect(await item.edit('newer', [before.version + 1])).toBe('precondition-failed');
      expect(await item.read()).toEqual(before);
    });

    test('is forbidden to others before its version matters', async () => {
      const item = await newItem();
      await bring(item);
      const { version } = await item.read();
      expect(await item.edit('by bo', [version], bo)).toBe('forbidden');
      expect(await item.edit('by bo', [], bo)).toBe('forbidden');
    });
  });

  describe('whose version is looked up in MySQL', () => {
    /** Edits with the version that MySQL has, while something happens after the look-up. */
    const during = async (item: Editable, happens: () => Promise<unknown>): Promise<string> => {
      await persist();
      await item.forget();
      const { version } = await item.read();
      let times = 0;
      afterLookUp = async () => {
        times += 1;
        if (times === 1) await happens();
      };
      try {
        return await item.edit('late', [version]);
      } finally {
        afterLookUp = async () => undefined;
      }
    };

    test('loses against an edit that was accepted meanwhile', async () => {
      const item = await newItem();
      expect(await during(item, () => item.edit('early'))).toBe('precondition-failed');
      expect((await item.read()).text).toBe('early');
    });

    test('loses against an edit that was accepted, stored and forgotten meanwhile', async () => {
      const item = await newItem();
      const happens = async () => {
        await item.edit('early');
        await persist();
        await item.forget();
      };
      expect(await during(item, happens)).toBe('precondition-failed');
      expect((await item.read()).text).toBe('early');
    });

    test('loses against such an edit even if the look-up has expired, and another one has begun', async () => {
      const item = await newItem();
      const happens = async () => {
        await stores.redis.del(item.lookedUp);
        await item.edit('early');
        await persist();
        await item.forget();
        expect(await item.edit('other', [1])).toBe('precondition-failed');
      };
      expect(await during(item, happens)).toBe('precondition-failed');
      expect((await item.read()).text).toBe('early');
    });

    test('is taken if only the look-up has expired', async () => {
      const item = await newItem();
      expect(await during(item, () => stores.redis.del(item.lookedUp))).toBe('done');
      expect((await item.read()).text).toBe('late');
    });

    test('leaves a look-up that expires', async () => {
      const item = await newItem();
      await during(item, async () => undefined);
      expect(await stores.redis.ttl(item.lookedUp)).toBeGreaterThan(0);
    });
  });

  test('counts MySQL’s version after a loss, when Redis shows an older one', async () => {
    const item = await newItem();
    await persist();
    await item.forget();
    // The edit is stored and still pending in Redis, which then goes back to a time before it was settled.
    await item.edit('stored');
    const { redis, keys, client, gate } = stores;
    const contents = [
      ...(published.get('update-message') ?? []),
      ...(published.get('update-application') ?? []),
      ...(published.get('update-chat') ?? []),
    ];
    await redis.hdel(keys.state, `run:${(await client.connection()).server}`);
    await openGateOf(gate, Number((await redis.hget(keys.state, 'clock')) ?? 0) + 1);
    expect(contents).toHaveLength(1);
    const { version } = await item.read().catch(() => ({ version: 0 }));
    expect(version).toBeGreaterThan(0);
    await persist();
    expect(await item.edit('old', [1])).toBe('precondition-failed');
    expect(await item.edit('new', [(await item.read()).version])).toBe('done');
  });
});

describe('a deletion', () => {
  const given = async () => {
    const item = await newMessage();
    await persist();
    await item.forget();
    return item;
  };

  test('stays, if an edit looks the sender up in MySQL while it is accepted and stored', async () => {
    const item = await given();
    afterLookUp = async () => {
      afterLookUp = async () => undefined;
      expect(await item.remove()).toBe('done');
      await persist();
      await item.forget();
    };
    // The edit began before the deletion, and has an id above it.
    expect(await item.edit('late')).toBe('done');
    expect((await item.read()).text).toBe('');
    await persist();
    expect((await item.read()).text).toBe('');
    expect(await item.edit('later')).toBe('conflict');
  });

  test('is refused for another version, also after it, and repeated for the same one', async () => {
    const item = await given();
    const { version } = await item.read();
    expect(await item.remove([version + 1])).toBe('precondition-failed');
    expect(await item.remove([version])).toBe('done');
    expect(await item.remove([version])).toBe('precondition-failed');
    expect(await item.edit('x', [version])).toBe('precondition-failed');
    const deleted = await item.read();
    expect(deleted).toMatchObject({ text: '' });
    expect(await item.remove([deleted.version])).toBe('done');
    await persist();
    await item.forget();
    expect(await item.read()).toEqual(deleted);
    expect(await item.remove([deleted.version])).toBe('done');
    expect(take('update-message')).toEqual([]);
  });

  test('is the right of the sender and of the creator of the application, whoever knows them', async () => {
    const by = async (isSender: boolean, isKnown: boolean) => {
      const item = await newMessage(isSender ? bo : ana);
      if (!isKnown) {
        await persist();
        await item.forget();
        await stores.redis.del(item.application);
      }
      return [await item.remove(undefined, bo), await item.remove(undefined, ana)];
    };
    // Ana has created the application.
    expect(await by(true, true)).toEqual(['done', 'done']);
    expect(await by(true, false)).toEqual(['done', 'done']);
    expect(await by(false, true)).toEqual(['forbidden', 'done']);
    expect(await by(false, false)).toEqual(['forbidden', 'done']);
  });
});

test('a missing item is not found before its version matters', async () => {
  const { edit } = await newMessage();
  expect(await edit('x', [1])).toBe('precondition-failed');
  const token = createToken();
  const missing = { token, chatNumber: 1, messageNumber: 1, callerId: ana, expected: [] };
  expect(await outcome(submit(updateMessageCommand, { ...missing, body: 'b' }))).toBe('not-found');
  expect(
    await outcome(submit(updateChatCommand, { token, chatNumber: 1, callerId: ana, expected: [] })),
  ).toBe('not-found');
  expect(
    await outcome(submit(updateApplicationCommand, { token, name: 'n', callerId: ana, expected: [] })),
  ).toBe('not-found');
});

describe.each(places)('a chat that is %s', (_place, bring) => {
  test('is edited by its creator and by the creator of its application, and by nobody else', async () => {
    const chat = await newChat(bo);
    await bring(chat);
    expect(await chat.edit('by bo', undefined, bo)).toBe('done');
    expect(await chat.edit('by ana', undefined, ana)).toBe('done');
    expect(await chat.edit('by bo again', [(await chat.read()).version], bo)).toBe('done');
    await persist();
    await chat.forget();
    expect(await chat.edit('by cleo', undefined, cleo)).toBe('forbidden');
    expect((await chat.read()).text).toBe('by bo again');
  });
});

test('an edit of a chat without a title removes it', async () => {
  const { token, chatNumber, read } = await newChat();
  await submit(updateChatCommand, { token, chatNumber, callerId: ana });
  expect((await read()).text).toBe('');
  await persist();
  expect((await read()).text).toBe('');
});

test('a chat that Redis brings back as pending is shown with the newer title of MySQL', async () => {
  const { token, chatNumber, read } = await newChat();
  const { redis, keys, gate, client } = stores;
  const pending = await redis.hgetall(keys.pendingChats(token));
  await submit(updateChatCommand, { token, chatNumber, title: 'newer', callerId: ana });
  await persist();
  await redis.hset(keys.pendingChats(token), pending);
  await redis.hdel(keys.state, `run:${(await client.connection()).server}`);
  await openGateOf(gate, Number((await redis.hget(keys.state, 'clock')) ?? 0) + 1);
  const { recoveryState } = stores;
  const lost = (await gate.status()).verifying?.lost ?? '';
  const count = await recoveryState.highestChatNumber(token);
  await gate.verify(
    [
      { token, count },
      { token, chatNumber, count: 0 },
    ],
    lost,
  );
  expect((await read()).text).toBe('newer');
});

describe('the time of an edit by a handler whose clock is behind', () => {
  const behind = async (work: () => Promise<unknown>): Promise<void> => {
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() - 60_000 });
    try {
      expect(await work()).toBe('done');
    } finally {
      vi.useRealTimers();
    }
  };

  test.each([
    ['pending', async () => undefined],
    ['stored one after the other', persist],
  ])('is not before the time of the edit before it, both %s', async (_how, between) => {
    const message = await newMessage();
    expect(await message.edit('first')).toBe('done');
    await between();
    const first = await message.readEditedAtMs();
    await behind(() => message.edit('second'));
    const pending = await message.readEditedAtMs();
    expect(pending).toBeGreaterThanOrEqual(first);
    await persist();
    expect(await message.readEditedAtMs()).toBe(pending);
    await message.forget();
    expect(await message.readEditedAtMs()).toBe(pending);
    expect((await message.read()).text).toBe('second');
  });
});
