import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import type { Consumer } from '#lib/consumer/consumer-handler.ts';
import type { AcceptedQueue } from '#lib/contracts/commands/all.ts';
import { createApplicationCommand } from '#lib/contracts/commands/create-application.ts';
import { createChatCommand } from '#lib/contracts/commands/create-chat.ts';
import { createMessageCommand } from '#lib/contracts/commands/create-message.ts';
import { updateApplicationCommand } from '#lib/contracts/commands/update-application.ts';
import { updateChatCommand } from '#lib/contracts/commands/update-chat.ts';
import { updateMessageCommand } from '#lib/contracts/commands/update-message.ts';
import { type Change, type FeedPage, numberUpTo } from '#lib/domain/change.ts';
import { isKnownError } from '#lib/domain/errors.ts';
import { createToken } from '#lib/domain/token.ts';
import { createChanges } from '#lib/mysql/changes.ts';
import { createApplicationDirectory } from '#lib/reading/applications.ts';
import { createFeed } from '#lib/reading/changes.ts';
import { createChatDirectory } from '#lib/reading/chats.ts';
import { createConversation } from '#lib/reading/conversation.ts';
import { createWithSenders } from '#lib/reading/senders.ts';
import { createUnread } from '#lib/reading/unread.ts';
import { openGate } from '#lib/recovery/opening.ts';
import { createVerification } from '#lib/recovery/verification.ts';
import { createPendingChanges } from '#lib/redis/changes/pending-changes.ts';
import { createAccepts, createSettles } from '#lib/redis/commands/all.ts';
import { createOutbox } from '#lib/redis/commands/outbox.ts';
import { createCounters } from '#lib/redis/gate/counters.ts';
import { createGate } from '#lib/redis/gate/gate.ts';
import { createKeys } from '#lib/redis/script/keys.ts';
import { createDirectory } from '#lib/redis/window/directory.ts';
import { createOutdatedWindows } from '#lib/redis/window/outdated-windows.ts';
import { createMarkers } from '#lib/redis/window/read-markers.ts';
import { createRecentMessages } from '#lib/redis/window/recent-messages.ts';
import { createFindStored } from '#lib/writing/find-stored.ts';
import { createSettling, type Settling } from '#lib/writing/settling.ts';
import { createSubmit } from '#lib/writing/submit.ts';
import { persistApplication } from '../../functions/consumers/persist-application.ts';
import { persistApplicationUpdate } from '../../functions/consumers/persist-application-update.ts';
import { persistChat } from '../../functions/consumers/persist-chat.ts';
import { persistChatUpdate } from '../../functions/consumers/persist-chat-update.ts';
import { persistMessage } from '../../functions/consumers/persist-message.ts';
import { persistMessageUpdate } from '../../functions/consumers/persist-message-update.ts';
import { received } from '../support/received.ts';
import { openStores, type Stores } from '../support/stores.ts';

/*
 * An application is a set of items with contents. A client keeps a copy of it by the feed alone. Whatever happens to Redis,
 * to the broker's messages and to consumers, each copy must equal what GET answers in the end. A client is sent back to the
 * list exactly if Redis has lost a change up to its position.
 */

/** Where a consumer is killed. Its messages stay in the broker. */
type Crash =
  | 'never'
  | 'before settling'
  | 'before storing numbers'
  | 'before removing numbers'
  | 'before acknowledging';
type Step =
  /** `copies`: how often the broker gets the command. Without one it is in the outbox alone. */
  | { do: 'create chat' | 'rename'; copies: number }
  | { do: 'create message' | 'edit title'; chat: number; copies: number }
  | { do: 'edit message' | 'delete message'; which: number; copies: number }
  | { do: 'delete chat'; chat: number }
  | { do: 'foreign message'; chat: number }
  | { do: 'foreign edit' | 'foreign deletion'; which: number }
  /**
   * `giveUp`: deferred commands die. `during`: happens between settling and the storing of fresh numbers, as the broker may
   * have given the batch to another consumer.
   */
  | { do: 'consume'; order: number[]; crash: Crash; giveUp: boolean; during: Step[] }
  | { do: 'relay' | 'redrive' }
  | { do: 'restart' | 'wipe' | 'snapshot' | 'roll back' }
  | { do: 'recover'; verify: boolean }
  /** The clock of a machine was ahead, and is set back. */
  | { do: 'clock was ahead'; seconds: number }
  /** `between`: happens between the read of Redis and that of MySQL. */
  | { do: 'read'; client: number; limit: number; between: Step[] };

const only = <Name extends Step['do']>(...names: Name[]) => fc.constantFrom(...names);
const copies = fc.constantFrom(0, 1, 1, 1, 2);
const chat = fc.nat(2);
const which = fc.nat(8);
const rarely = fc.nat(5).map((n) => n === 0);
const crash = fc.constantFrom<Crash>(
  'never',
  'never',
  'never',
  'before settling',
  'before storing numbers',
  'before removing numbers',
  'before acknowledging',
);
const consumed = (during: fc.Arbitrary<Step[]>): fc.Arbitrary<Step> =>
  fc.record({
    do: only('consume'),
    order: fc.array(fc.nat(12), { minLength: 1, maxLength: 8 }),
    crash,
    giveUp: rarely,
    during,
  });
const consume = consumed(fc.constant([]));
const write: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: only('create message'), chat, copies }) },
  { weight: 4, arbitrary: fc.record({ do: only('edit message'), which, copies }) },
  { weight: 2, arbitrary: fc.record({ do: only('delete message'), which, copies }) },
  { weight: 2, arbitrary: fc.record({ do: only('create chat', 'rename'), copies }) },
  { weight: 1, arbitrary: fc.record({ do: only('edit title'), chat, copies }) },
  { weight: 1, arbitrary: fc.record({ do: only('delete chat'), chat }) },
  { weight: 1, arbitrary: fc.record({ do: only('foreign message'), chat }) },
  { weight: 2, arbitrary: fc.record({ do: only('foreign edit', 'foreign deletion'), which }) },
);
const fault: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ do: only('relay', 'redrive') }) },
  { weight: 3, arbitrary: fc.record({ do: only('restart', 'wipe', 'snapshot', 'roll back') }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: only('clock was ahead'), seconds: fc.integer({ min: 2, max: 20 }) }),
  },
);
const recover: fc.Arbitrary<Step> = fc.record({ do: only('recover'), verify: fc.boolean() });
const between = fc.array(
  fc.oneof({ weight: 3, arbitrary: consume }, { weight: 3, arbitrary: write }, fault),
  {
    maxLength: 3,
  },
);
const read: fc.Arbitrary<Step> = fc.record({
  do: only('read'),
  client: fc.nat(3),
  limit: fc.integer({ min: 1, max: 4 }),
  between,
});
const consumeMeanwhile = consumed(fc.array(fc.oneof(fault, recover, read), { maxLength: 4 }));
const steps = fc.array(
  fc.oneof(
    { weight: 8, arbitrary: write },
    { weight: 6, arbitrary: consume },
    { weight: 1, arbitrary: consumeMeanwhile },
    { weight: 3, arbitrary: fault },
    { weight: 3, arbitrary: recover },
    { weight: 8, arbitrary: read },
  ),
  { maxLength: 50 },
);

const all = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];
const consumeAll: Step = { do: 'consume', order: all, crash: 'never', giveUp: false, during: [] };
const readOne: Step = { do: 'read', client: 0, limit: 1, between: [] };
const readAll = [readOne, readOne, readOne, readOne];
const message: Step = { do: 'create message', chat: 0, copies: 1 };
const foreignEdit: Step = { do: 'foreign edit', which: 0 };
const recovered: Step = { do: 'recover', verify: true };
/** Sequences that random choices rarely produce. */
const scenarios: Record<string, Step[]> = {
  'changes are stored between the two reads, above one that is not': [
    consumeAll,
    ...readAll,
    { ...readOne, between: [message, message, message, { ...consumeAll, order: [1, 2] }] },
    readOne,
    readOne,
  ],
  'a change is settled between the two reads': [
    message,
    message,
    consumeAll,
    message,
    { ...readOne, between: [consumeAll] },
    ...readAll,
  ],
  'Redis is wiped before the fresh number of a change is stored, and another consumer goes on': [
    message,
    consumeAll,
    consumeAll,
    ...readAll,
    foreignEdit,
    { ...consumeAll, during: [{ do: 'wipe' }, recovered, ...readAll] },
    ...readAll,
  ],
  'a fresh number is issued while the gate is closed after a rollback': [
    message,
    consumeAll,
    consumeAll,
    { do: 'snapshot' },
    { ...message, copies: 0 },
    ...readAll,
    readOne,
    { do: 'roll back' },
    foreignEdit,
    consumeAll,
    recovered,
    ...readAll,
  ],
  'a copy reads the history in pages after Redis was wiped': [
    message,
    consumeAll,
    consumeAll,
    { do: 'wipe' },
    recovered,
    ...readAll,
    { do: 'restart' },
    recovered,
    ...readAll,
  ],
  'a copy in the middle of the history is sent back by a second loss only': [
    message,
    consumeAll,
    consumeAll,
    { do: 'wipe' },
    recovered,
    readOne,
    { do: 'wipe' },
    recovered,
    ...readAll,
  ],
};

let stores: Stores;
let ana: number;

beforeAll(async () => {
  stores = await openStores(inject('urls'), 'feed');
  [ana = 0] = await stores.addUsers('ana');
});
afterAll(() => stores?.close());

const TABLES = [
  'changes',
  'message_deletions',
  'reservations',
  'messages',
  'chats',
  'applications',
  'queues',
  'epochs',
];
const codeOf = (error: unknown): string => {
  if (isKnownError(error)) return error.code;
  throw error;
};

type Command = { queue: AcceptedQueue; content: string };
/** What a client shows of an item, and the number of that content. */
type Shown = { text: string; version: number };
/** `openings`: how many there had been when the position was given. */
type Client = { chatNumber?: number; position: number; openings: number; shown: Map<string, Shown> };

const itemOf = ({ chatNumber = 0, messageNumber = 0 }: Omit<Change, 'type' | 'token' | 'changeNumber'>) =>
  `${chatNumber}:${messageNumber}`;

/** One application from its creation on, with a Redis of its own and empty tables. */
const createRun = async () => {
  const { client, redis, database, applications, chats, messages, users, recoveryState, readMarkers } =
    stores;
  for (const table of TABLES) await database.write(`DELETE FROM ${table}`, []);
  const keys = createKeys(`feed-${randomUUID()}:`);
  const cell = { client, keys };
  const gate = createGate(cell);
  const counters = createCounters(cell);
  const directory = createDirectory(cell);
  const recentMessages = createRecentMessages(cell);
  const outbox = createOutbox(cell);
  const settles = createSettles(cell);
  const pendingChanges = createPendingChanges(cell);
  const changes = createChanges(database);
  const settling = createSettling({ settles, changes, pendingChanges });
  const token = createToken();

  const broker: Command[] = [];
  const letters: Command[] = [];
  let copiesOfNext = 1;
  let words = 0;
  const word = () => {
    words += 1;
    return `word ${words}`;
  };

  const submit = createSubmit({
    accepts: createAccepts(cell),
    publisher: {
      publishCommand: async (queue, { content }) => {
        for (let copy = 0; copy < copiesOfNext; copy += 1) {
          broker.push({ queue: queue as AcceptedQueue, content });
        }
      },
    },
    gate,
    numbers: recoveryState,
    findStored: createFindStored({ applications, chats, messages }),
    eraseAtOnce: async () => undefined,
    askForRecovery: () => undefined,
    onUnpublished: (_queue, error) => {
      throw error;
    },
  });

  // The readers of GET.
  const conversation = createConversation({
    recentMessages,
    messages,
    chats,
    withSenders: createWithSenders({ users }),
  });
  const chatDirectory = createChatDirectory({
    directory,
    counters,
    chats,
    applications,
    unread: createUnread({ markers: createMarkers(cell), readMarkers }),
  });
  const applicationDirectory = createApplicationDirectory({ directory, counters, applications });
  const get = async ({ chatNumber, messageNumber }: Omit<Change, 'type' | 'token' | 'changeNumber'>) => {
    try {
      if (chatNumber === undefined) {
        const { name, version } = await applicationDirectory.get(token);
        return { text: name, version };
      }
      if (messageNumber === undefined) {
        const { title = '', version } = await chatDirectory.get(ana, token, chatNumber);
        return { text: title, version };
      }
      const message = await conversation.message({ token, chatNumber }, messageNumber);
      return { text: `${message.body} ${message.deletedAtMs ?? ''}`, version: message.version };
    } catch (error) {
      if (codeOf(error) === 'not-found') return undefined;
      throw error;
    }
  };

  const isOpen = async () => (await gate.status()).isOpen;
  const clock = async () => Number((await redis.hget(keys.state, 'clock')) ?? 0);

  // The list of everything, as GET shows it.
  const LAST = 40;
  const list = async (chatNumber?: number): Promise<Map<string, Shown>> => {
    const shown = new Map<string, Shown>();
    const look = async (item: Omit<Change, 'type' | 'token' | 'changeNumber'>) => {
      const found = await get(item);
      if (found !== undefined) shown.set(itemOf(item), found);
      return found !== undefined;
    };
    if (chatNumber === undefined) await look({});
    const numbers = chatNumber === undefined ? Array.from({ length: LAST }, (_, i) => i + 1) : [chatNumber];
    for (const number of numbers) {
      if (!(await look({ chatNumber: number }))) continue;
      const { messagesCount } = await chatDirectory.get(ana, token, number);
      for (let messageNumber = 1; messageNumber <= messagesCount; messageNumber += 1)
        await look({ chatNumber: number, messageNumber });
    }
    return shown;
  };

  /** The clock that has survived all faults since the last opening, and those of all openings. */
  let survived = Number.POSITIVE_INFINITY;
  const openings: number[] = [];
  const survive = async () => {
    survived = Math.min(survived, await clock());
  };

  const consumers: {
    [Queue in AcceptedQueue]: (
      contents: Command[],
      settles: Settling,
      isKilled: boolean,
    ) => Promise<{ deferred: Set<Command>; dead: Command[]; die: (commands: Command[]) => Promise<void> }>;
  } = (() => {
    const consumer =
      <Schema extends { queue: string; schema: Parameters<typeof received>[0]['schema'] }, Uses, Row>(
        contract: Schema,
        { store, settle }: Consumer<ReturnType<typeof received>, Uses, Row>,
        uses: (settles: Settling) => Uses,
      ) =>
      async (commands: Command[], settles: Settling, isKilled: boolean) => {
        const read = new Map(commands.map((command) => [received(contract, command.content), command]));
        const { stored, deferred, dead, dropped = [] } = await store(uses(settles), [...read.keys()]);
        if (!isKilled) await settle(uses(settles), { stored, dead: dropped });
        if (!isKilled) await settle(uses(settles), { stored: [], dead: dead.map(({ command }) => command) });
        const of = (refused: { command: object }[]) =>
          refused.flatMap(({ command }) => read.get(command as never) ?? []);
        return {
          deferred: new Set(of(deferred)),
          dead: of(dead),
          die: async (given: Command[]) => {
            const isGiven = new Set(given);
            const dying = [...read].flatMap(([command, one]) => (isGiven.has(one) ? [command] : []));
            await settle(uses(settles), { stored: [], dead: dying });
          },
        };
      };
    const indexing = { handOn: async () => undefined };
    return {
      'create-application': consumer(createApplicationCommand, persistApplication as never, (settles) => ({
        applications,
        settles,
      })),
      'update-application': consumer(
        updateApplicationCommand,
        persistApplicationUpdate as never,
        (settles) => ({ applications, directory, settles }),
      ),
      'create-chat': consumer(createChatCommand, persistChat as never, (settles) => ({ chats, settles })),
      'update-chat': consumer(updateChatCommand, persistChatUpdate as never, (settles) => ({
        chats,
        directory,
        settles,
      })),
      'create-message': consumer(createMessageCommand, persistMessage as never, (settles) => ({
        messages,
        settles,
        indexing,
      })),
      'update-message': consumer(updateMessageCommand, persistMessageUpdate as never, (settles) => ({
        messages,
        recentMessages,
        settles,
        indexing,
      })),
    };
  })();

  /** Settling that a kill interrupts. */
  const settlingUntil = (crash: Crash, during: Step[]): Settling => {
    if (crash === 'before storing numbers') return settles as never;
    if (during.length > 0) {
      const insert = async (...issued: Parameters<typeof changes.insert>) => {
        for (const step of during.splice(0)) await act(step);
        await changes.insert(...issued);
      };
      return createSettling({ settles, changes: { insert }, pendingChanges });
    }
    if (crash === 'before removing numbers')
      return createSettling({ settles, changes, pendingChanges: { remove: async () => [] } });
    return settling;
  };

  const take = (commands: Iterable<Command>) => {
    for (const command of commands) {
      const at = broker.indexOf(command);
      if (at >= 0) broker.splice(at, 1);
    }
  };

  /** Delivers commands, one queue after the other. */
  const deliver = async (
    commands: Command[],
    {
      crash = 'never',
      giveUp = false,
      during = [],
    }: { crash?: Crash; giveUp?: boolean; during?: Step[] } = {},
  ): Promise<void> => {
    for (const [queue, ofQueue] of Map.groupBy(commands, ({ queue }) => queue)) {
      const outcome = await consumers[queue](
        ofQueue,
        settlingUntil(crash, during),
        crash === 'before settling',
      );
      if (crash !== 'never') continue;
      letters.push(...outcome.dead);
      const waiting = giveUp ? [] : outcome.deferred;
      if (giveUp) {
        await outcome.die([...outcome.deferred]);
        letters.push(...outcome.deferred);
      }
      const isWaiting = new Set(waiting);
      take(ofQueue.filter((command) => !isWaiting.has(command)));
    }
  };

  /** Everything that the broker has is stored, dead or deferred. */
  const drain = async () => {
    for (let round = 0; round < 5; round += 1) await deliver([...broker]);
  };

  const relay = async () => {
    for (const queue of Object.keys(consumers) as AcceptedQueue[]) {
      const commands = await outbox.commands(queue, {
        after: 0,
        olderThan: Number.MAX_SAFE_INTEGER,
        count: 1_000,
      });
      for (const { command } of commands) broker.push({ queue, content: command });
    }
  };

  const findWitness = async (): Promise<number> => {
    const handled = [...(await recoveryState.queues()).values()].map(({ highestId }) => highestId);
    const highest = Math.max(0, ...handled);
    return highest === 0 && (await recoveryState.hasNumbers()) ? 1 : highest;
  };

  const verification = createVerification({
    gate,
    recoveryState,
    applications,
    chats,
    outdatedWindows: createOutdatedWindows(cell),
  });

  const recoverGate = async (verify: boolean) => {
    if (!(await isOpen())) {
      // Barriers: every command in the broker is handled before the gate opens.
      const attempt = await gate.attempt();
      expect(await attempt.begin()).toBe('begun');
      const epoch = await recoveryState.beginEpoch(attempt.server);
      await drain();
      openings.push(Math.min(survived, await clock()));
      survived = Number.POSITIVE_INFINITY;
      expect(await openGate(attempt, epoch, await findWitness(), { recoveryState })).not.toBe('superseded');
    }
    if (verify) await verification({ remainingMs: () => 10_000, log: () => undefined });
  };

  let snapshot: { key: string; value: Buffer }[] | undefined;
  const allKeys = () => redis.keys(`${keys.prefix}*`);
  const close = async () => {
    const { server } = await client.connection();
    await redis.hdel(keys.state, `run:${server}`, 'attempt', 'attempt-at');
  };
  const wipe = async () => {
    const names = await allKeys();
    if (names.length > 0) await redis.del(...names);
  };

  const clients: Client[] = [
    { position: 0, openings: 0, shown: new Map() },
    { position: 0, openings: 0, shown: new Map() },
    { chatNumber: 1, position: 0, openings: 0, shown: new Map() },
    // Reads from the beginning at the end only.
    { position: 0, openings: 0, shown: new Map() },
  ];

  const startAgain = async (client: Client) => {
    client.position = await clock();
    client.openings = openings.length;
    client.shown = await list(client.chatNumber);
  };

  const apply = async (client: Client, { items, changeNumber }: FeedPage<Change>, openingsBefore: number) => {
    for (const { type, ...change } of items) {
      if (type === 'chat.deleted') {
        for (const item of client.shown.keys())
          if (item.startsWith(`${change.chatNumber}:`)) client.shown.delete(item);
        continue;
      }
      const found = await get(change);
      const known = client.shown.get(itemOf(change));
      if (found !== undefined && (known === undefined || found.version >= known.version))
        client.shown.set(itemOf(change), found);
    }
    // Content that was newer than the position is read again once the position has passed it.
    const before = client.position;
    client.position = changeNumber;
    client.openings = openingsBefore;
    for (const [item, { version }] of client.shown) {
      if (version <= before || version > changeNumber) continue;
      const [chatNumber = 0, messageNumber = 0] = item.split(':').map(Number);
      const found = await get({
        ...(chatNumber > 0 ? { chatNumber } : {}),
        ...(messageNumber > 0 ? { messageNumber } : {}),
      });
      if (found !== undefined) client.shown.set(item, found);
    }
  };

  /** @returns whether there is more to read */
  const readPage = async (at: number, limit: number, between: Step[]): Promise<boolean> => {
    const client = clients[at % clients.length];
    if (client === undefined) return false;
    const mayRead = await isOpen();
    const openingsBefore = openings.length;
    const mustGo = openings.slice(client.openings).some((found) => found < numberUpTo(client.position));
    const feed = createFeed({
      pendingChanges,
      changes: {
        ...changes,
        place: async (...query) => {
          for (const step of between) await act(step);
          return changes.place(...query);
        },
      },
    });
    let page: FeedPage<Change>;
    try {
      const { chatNumber } = client;
      page = await feed({
        token,
        ...(chatNumber === undefined ? {} : { chatNumber }),
        since: client.position,
        limit,
      });
    } catch (error) {
      const code = codeOf(error);
      if (!mayRead) {
        expect(code).toBe('unavailable');
        return false;
      }
      if (code === 'gone') {
        expect(mustGo).toBe(true);
        // Lists need the gate, too: without it they have no position.
        if (await isOpen()) await startAgain(client);
        return true;
      }
      // Neither Redis nor MySQL can tell yet whether it exists, or its chat is deleted.
      expect(['unavailable', 'not-found']).toContain(code);
      if (code === 'not-found') expect(client.chatNumber !== undefined || words === 0).toBe(true);
      return false;
    }
    expect(mayRead).toBe(true);
    expect(mustGo).toBe(false);
    expect(page.items.length).toBeLessThanOrEqual(limit);
    expect(page.changeNumber).toBeGreaterThanOrEqual(client.position);
    if (await isOpen()) await apply(client, page, openingsBefore);
    return page.more;
  };

  const chatAt = (which: number) => which + 1;
  const messageAt = (which: number) => ({
    chatNumber: 1 + (which % 2),
    messageNumber: 1 + Math.floor(which / 2),
  });
  const tries = async (write: () => Promise<unknown>) => {
    try {
      await write();
    } catch (error) {
      expect(['unavailable', 'not-found', 'conflict', 'forbidden']).toContain(codeOf(error));
    }
  };
  const foreign = async (queue: AcceptedQueue, command: object) => {
    broker.push({ queue, content: JSON.stringify({ ...command, date: new Date().toISOString() }) });
  };

  const write = (step: Step): Promise<unknown> | undefined => {
    const edit = { token, callerId: ana };
    switch (step.do) {
      case 'create chat':
        return submit(createChatCommand, { token, title: word(), creatorId: ana });
      case 'rename':
        return submit(updateApplicationCommand, { ...edit, name: word() });
      case 'create message':
        return submit(createMessageCommand, {
          token,
          chatNumber: chatAt(step.chat),
          senderId: ana,
          senderName: 'ana',
          body: word(),
        });
      case 'edit title':
        return submit(updateChatCommand, { ...edit, chatNumber: chatAt(step.chat), title: word() });
      case 'delete chat':
        return submit(updateChatCommand, { ...edit, chatNumber: chatAt(step.chat + 1), deleted: true });
      case 'edit message':
        return submit(updateMessageCommand, { ...edit, ...messageAt(step.which), body: word() });
      case 'delete message':
        return submit(updateMessageCommand, { ...edit, ...messageAt(step.which), body: '', deleted: true });
      case 'foreign message': {
        const chatNumber = chatAt(step.chat);
        return recoveryState.highestMessageNumber(token, chatNumber).then((highest) =>
          typeof highest === 'number'
            ? foreign('create-message', {
                token,
                chatNumber,
                messageNumber: highest + 1,
                senderId: ana,
                body: word(),
              })
            : undefined,
        );
      }
      case 'foreign edit':
        return foreign('update-message', { token, ...messageAt(step.which), body: word() });
      case 'foreign deletion':
        return foreign('update-message', { token, ...messageAt(step.which), body: '', deleted: true });
      default:
        return undefined;
    }
  };

  const act = async (step: Step): Promise<void> => {
    copiesOfNext = 'copies' in step ? step.copies : 1;
    switch (step.do) {
      case 'consume': {
        if (broker.length === 0) return;
        const commands = step.order.flatMap((index) => broker[index % broker.length] ?? []);
        return deliver([...new Set(commands)], { ...step, during: [...step.during] });
      }
      case 'relay':
        return relay();
      case 'redrive':
        broker.push(...letters.splice(0));
        return;
      case 'restart':
        await close();
        return survive();
      case 'wipe':
        await wipe();
        return survive();
      case 'snapshot': {
        const names = await allKeys();
        snapshot = await Promise.all(
          names.map(async (key) => ({ key, value: (await redis.dumpBuffer(key)) ?? Buffer.alloc(0) })),
        );
        return;
      }
      case 'roll back': {
        if (snapshot === undefined) return;
        await wipe();
        for (const { key, value } of snapshot) await redis.restore(key, 0, value);
        await close();
        return survive();
      }
      case 'recover':
        return recoverGate(step.verify);
      case 'clock was ahead': {
        const ahead = Math.max(await clock(), Date.now() * 1_000) + step.seconds * 1_000_000;
        await recoveryState.record({ queue: 'create-chat', highestId: ahead, reserved: [], releasedIds: [] });
        return gate.raiseClock(ahead);
      }
      case 'read':
        await readPage(step.client === 3 ? 0 : step.client, step.limit, step.between);
        return;
      default:
        return tries(async () => write(step));
    }
  };

  const begin = async () => {
    await recoverGate(true);
    await submit(createApplicationCommand, { token, name: word(), creatorId: ana });
    await submit(createChatCommand, { token, title: word(), creatorId: ana });
    await submit(createChatCommand, { token, title: word(), creatorId: ana });
  };

  /** Dead letters excepted: clients may have seen their items, and a chat of one may still have a counter. */
  const withoutDead = (shown: Map<string, Shown>) => {
    const dead = letters.map(({ content }) => {
      const { chatNumber, messageNumber } = JSON.parse(content);
      return messageNumber === undefined ? `${chatNumber ?? 0}:` : `${chatNumber}:${messageNumber}`;
    });
    const isDead = (item: string) =>
      dead.some((one) => (one.endsWith(':') ? item.startsWith(one) : item === one));
    return new Map([...shown].filter(([item]) => !isDead(item)).sort());
  };

  /** Everything comes to rest. Then every copy is the truth. */
  const check = async () => {
    await recoverGate(true);
    await relay();
    await drain();
    await deliver([...broker], { giveUp: true });
    await recoverGate(true);
    for (const [at, client] of clients.entries()) {
      const truth = await list(client.chatNumber).catch(codeOf);
      for (let page = 0; page < 200 && (await readPage(at, 3, [])); page += 1);
      if (client.chatNumber !== undefined && (await get({ chatNumber: client.chatNumber })) === undefined)
        continue;
      if (!(truth instanceof Map)) throw new Error(truth);
      expect(withoutDead(client.shown)).toEqual(withoutDead(truth));
      expect(client.position).toBe(await clock());
    }
  };

  return { begin, act, check, wipe };
};

const runSteps = async (steps: Step[]) => {
  const run = await createRun();
  try {
    await run.begin();
    for (const step of steps) await run.act(step);
    await run.check();
  } finally {
    await run.wipe();
  }
};

/** PROPERTY_RUNS=1000 searches for rare faults. */
const runs = Number(process.env.PROPERTY_RUNS ?? 30);

describe('a copy that follows the feed is the truth', () => {
  test.each(Object.entries(scenarios))('when %s', async (_name, steps) => {
    await runSteps(steps);
  });

  test('after any interleaving of writes, consumers, faults, openings and reads', async () => {
    await fc.assert(fc.asyncProperty(steps, runSteps), { numRuns: runs, interruptAfterTimeLimit: 300_000 });
  }, 400_000);
});
