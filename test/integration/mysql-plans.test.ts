import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { parseEmailAddress } from '#lib/domain/email-address.ts';
import type { Database, Row, Value } from '#lib/mysql/connection/database.ts';
import { createDeletedItems } from '#lib/mysql/deleted-items.ts';
import { created, edited } from '../support/commands.ts';
import { openStores, type Stores } from '../support/stores.ts';

/*
 * What the server plans for every statement of every adapter, on tables in which a scan would show: 10,000 applications
 * of one user, 10,000 chats of one application, 120,000 messages, of which 40,000 in one chat, half of them at one time.
 */

type Statement = { sql: string; values: readonly Value[] };

const token = 'app';
const hot = { token, chatNumber: 1 };
const TIE_MS = Date.parse('2026-01-01T00:00:00Z');

const seen: Statement[] = [];
const recording = (database: Database): Database => ({
  ...database,
  select: (sql, values) => {
    seen.push({ sql, values });
    return database.select(sql, values);
  },
  write: (sql, values) => {
    seen.push({ sql, values });
    return database.write(sql, values);
  },
  transaction: (work) => database.transaction((transaction) => work(recording(transaction))),
});

let stores: Stores;
let creatorId: number;

beforeAll(async () => {
  stores = await openStores(inject('urls'), 'plans', { through: recording, timeoutMs: 60_000 });
  const { database } = stores;
  [creatorId = 0] = await stores.addUsers('ana');
  const fill = (sql: string, values: Value[] = []) => database.write(sql, values);
  await fill('CREATE TABLE digits (d INT NOT NULL)');
  await fill('INSERT INTO digits VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9)');
  await fill('CREATE TABLE numbers (n INT NOT NULL PRIMARY KEY)');
  await fill(
    `INSERT INTO numbers SELECT 1 + a.d + 10 * b.d + 100 * c.d + 1000 * e.d
     FROM digits a, digits b, digits c, digits e ORDER BY 1`,
  );
  await fill(
    `INSERT INTO applications (token, name, created_at, updated_at, creator_id, command_id, version)
     SELECT IF(n = 1, ?, CONCAT('app-', n)), 'a', NOW(3), NOW(3), ?, n, n FROM numbers`,
    [token, creatorId],
  );
  await fill(
    `INSERT INTO chats (application_id, token, number, created_at, updated_at, creator_id, command_id)
     SELECT (SELECT id FROM applications WHERE token = ?), ?, n, NOW(3), NOW(3), ?, n FROM numbers`,
    [token, token, creatorId],
  );
  // Eight in every chat, from before the column `sender`, and 40,000 in the first, of which every second one has the same time.
  await fill(
    `INSERT INTO messages (chat_id, token, chat_number, number, body, created_at, updated_at, creator_id, sender,
       sender_name, command_id, version)
     SELECT c.id, c.token, c.number, 1 + d.d, 'hello', NOW(3), NOW(3), ?, NULL, 'ana', 1, 1
     FROM chats c JOIN digits d ON d.d < 8 WHERE c.number > 1`,
    [creatorId],
  );
  await fill(
    `INSERT INTO messages (chat_id, token, chat_number, number, body, created_at, updated_at, creator_id, sender,
       sender_name, command_id, version)
     SELECT c.id, c.token, c.number, n.n + 10000 * d.d, 'hello',
       IF(n.n % 2 = 0, ?, TIMESTAMPADD(SECOND, n.n - 5000, ?)), NOW(3), ?, 'anaanaanaanaana1', 'ana', 1, 1
     FROM chats c JOIN numbers n JOIN digits d ON d.d < 4 WHERE c.number = 1`,
    ['2026-01-01 00:00:00.000', '2026-01-01 00:00:00.000', creatorId],
  );
  await fill(
    `INSERT INTO reservations (token, chat_number, number, command_id)
     SELECT 'app-1', a.n, b.d, a.n * 10 + b.d FROM numbers a JOIN digits b`,
  );
  await fill(
    'INSERT INTO message_deletions (chat_id, number) SELECT chat_id, number FROM messages WHERE number % 2 = 0',
  );
  await fill(
    'INSERT INTO read_markers (user_id, chat_id, number) SELECT u.n, c.id, 3 FROM chats c JOIN numbers u ON u.n < 4',
  );
  await database.select(
    'ANALYZE TABLE users, applications, chats, messages, reservations, message_deletions, read_markers',
    [],
  );
}, 120_000);
afterAll(() => stores?.close());

const statementsOf = async (work: () => Promise<unknown>): Promise<Statement[]> => {
  seen.length = 0;
  await work();
  return [...seen];
};

/** Inserts of values alone, which have no plan. */
const isInsert = ({ sql }: Statement) => /^\s*INSERT(?![^;]*JOIN)/.test(sql);
/** The result of a subquery that is itself a page, or a list of literals: the only thing that may be scanned or sorted. */
const isPage = (row: Row) => /^<(derived|subquery|union)/.test(String(row.table));

/** Rows that the server really looked at. */
const readsOf = async (work: (database: Database) => Promise<unknown>): Promise<number> =>
  stores.database.onOneConnection(async (connection) => {
    const count = async () => {
      const rows = await connection.select("SHOW SESSION STATUS LIKE 'Handler_read%'", []);
      return rows.reduce((sum, row) => sum + Number(row.Value), 0);
    };
    const before = await count();
    await work(connection);
    const own = -(await count()) + (await count());
    return (await count()) - before + 2 * own;
  });

const deletedItems = () => createDeletedItems(recording(stores.database));
const chatsOf = (count: number) => Array.from({ length: count }, (_, i) => ({ token, chatNumber: i + 2 }));
const anaAddress = parseEmailAddress('ana@example.org') ?? expect.unreachable();
const message = { ...hot, senderId: 0, body: 'b' };

describe('every query finds its rows by an index', () => {
  const queries: Record<string, () => Promise<unknown>> = {
    'the messages of an erased account': () => stores.messages.eraseNext(creatorId, 1_000_000, 10),
    'a user by address': () => stores.users.findByEmail(anaAddress),
    'a sign-up repeated': () =>
      stores.users
        .create(
          {
            name: 'ana',
            email: anaAddress,
            passwordHash: '-',
            signUpKey: 'k',
            signUpRequest: 'r',
            nowMs: TIE_MS,
          },
          async () => true,
        )
        .catch(() => undefined),
    'an application': () => stores.applications.find(token),
    'a list of applications': () =>
      stores.applications.listByCreator(creatorId, { skip: 0, count: 11, except: [] }),
    'a list of applications, deep': () =>
      stores.applications.listByCreator(creatorId, { skip: 9_000, count: 11, except: [] }),
    'a list of applications beside pending ones': () =>
      stores.applications.listByCreator(creatorId, { skip: 20, count: 11, except: ['app-9', 'app-10'] }),
    'applications stored': () =>
      stores.applications.insert(
        [20_001, 20_002].map((n) => ({ token: `app-${n}`, name: 'a', creatorId, ...created(n, TIE_MS) })),
      ),
    'applications renamed': () =>
      stores.applications.update(
        [2, 3, 4].map((n) => ({ token: `app-${n}`, name: 'b', ...edited(30_000 + n, TIE_MS) })),
      ),
    'counts of applications raised': () =>
      stores.applications.raiseChatsCounts(
        Array.from({ length: 500 }, (_, i) => ({ token: `app-${i + 2}`, count: 1 })),
      ),
    'counters of applications recovered': () => stores.applications.highestChatNumbers(5_000, 1_000),
    'a chat': () => stores.chats.find(token, 7),
    'a list of chats': () => stores.chats.list(token, 9_001, 9_011),
    'read markers of a list of chats': () =>
      stores.readMarkers.find(
        creatorId,
        token,
        Array.from({ length: 100 }, (_, i) => 9_001 + i),
      ),
    'deleted messages of a list of chats': () =>
      stores.readMarkers.countDeleted(
        Array.from({ length: 100 }, (_, i) => ({ chatId: i + 1, from: 3, to: 1_003 })),
      ),
    'read markers stored': () =>
      stores.readMarkers.raise(chatsOf(500).map((chat) => ({ ...chat, userId: creatorId, number: 3 }))),
    'chats stored': () =>
      stores.chats.insert(
        Array.from({ length: 200 }, (_, i) => ({
          token,
          chatNumber: 10_001 + i,
          creatorId,
          ...created(i + 1, TIE_MS),
        })),
      ),
    'chats renamed': () =>
      stores.chats.update(
        chatsOf(200).map((chat) => ({ ...chat, title: 'b', ...edited(40_000 + chat.chatNumber, TIE_MS) })),
      ),
    'chats deleted': () =>
      stores.chats.update(
        chatsOf(200).map((chat) => ({
          token,
          chatNumber: 9_000 + chat.chatNumber,
          deleted: true as const,
          ...edited(5, TIE_MS),
        })),
      ),
    'a chat deleted at once': () =>
      stores.chats.blank({ token, chatNumber: 9_999 }, { deletedAtMs: TIE_MS, commandId: 20_000 }),
    'chats of a deleted application': async () => {
      await stores.applications.blank('app-9', { deletedAtMs: TIE_MS, commandId: 20_000 });
      await deletedItems().deleteChats(Date.now(), undefined);
    },
    'chats to erase': async () => {
      const chats = await deletedItems().dueChats(Date.now());
      expect(chats).not.toEqual([]);
      await deletedItems().postpone(chats, Date.now());
      expect(await deletedItems().indexedChats(Date.now())).not.toEqual([]);
      await deletedItems().noteUnindexed(chats, Date.now());
    },
    'counts of chats raised': () =>
      stores.chats.raiseMessagesCounts(chatsOf(500).map((chat) => ({ ...chat, count: 8 }))),
    'counters of chats recovered': () => stores.chats.highestMessageNumbers(5_000, 1_000),
    'a page from before senders': () =>
      stores.messages.page({ token, chatNumber: 7 }, { skip: 0, count: 11 }),
    'handles of users': () => stores.users.findHandles([creatorId]),
    'the newest page': () => stores.messages.page(hot, { skip: 0, count: 11 }),
    'a page by number': () => stores.messages.page(hot, { skip: 5_000, count: 11 }),
    'a page by number beside pending messages': () =>
      stores.messages.page(hot, { skip: 5_000, count: 11, except: [1, 2, 3] }),
    'a page by cursor': () =>
      stores.messages.page(hot, {
        before: { createdAtMs: TIE_MS + 60_001, messageNumber: 5 },
        skip: 0,
        count: 11,
      }),
    'the oldest page': () => stores.messages.page(hot, { after: 'start', skip: 0, count: 11 }),
    'a page by cursor, oldest first': () =>
      stores.messages.page(hot, {
        after: { createdAtMs: TIE_MS + 60_001, messageNumber: 5 },
        skip: 0,
        count: 11,
      }),
    'a page by cursor among equal times': () =>
      stores.messages.page(hot, {
        before: { createdAtMs: TIE_MS, messageNumber: 10_000 },
        skip: 0,
        count: 11,
      }),
    'one message': () => stores.messages.find([{ ...hot, messageNumber: 17 }]),
    'messages of a batch': () =>
      stores.messages.find(chatsOf(500).map((chat) => ({ ...chat, messageNumber: 3 }))),
    'messages stored': () =>
      stores.messages.insert(
        chatsOf(200).flatMap((chat) => [
          { ...message, ...chat, senderId: creatorId, messageNumber: 1, ...created(1, TIE_MS) },
          { ...message, ...chat, senderId: creatorId, messageNumber: 9, ...created(2, TIE_MS) },
        ]),
      ),
    'messages edited': () =>
      stores.messages.update(
        chatsOf(200).map((chat) => ({ ...chat, messageNumber: 2, body: 'c', ...edited(5, TIE_MS) })),
      ),
    'messages deleted': () =>
      stores.messages.update(
        chatsOf(200).map((chat) => ({
          ...chat,
          messageNumber: 4,
          body: '',
          deleted: true as const,
          ...edited(6, TIE_MS),
        })),
      ),
    'the newest epoch': () => stores.recoveryState.newestEpoch(),
    'the epochs of a queue': () => stores.recoveryState.epochs('create-chat'),
    'what a batch handled': () =>
      stores.recoveryState.record({
        queue: 'create-chat',
        highestId: 1,
        reserved: [{ token, chatNumber: 1, commandId: 1 }],
        releasedIds: [1, 2, 3],
      }),
    'the highest chat number': () => stores.recoveryState.highestChatNumber(token),
    'the highest message number': () => stores.recoveryState.highestMessageNumber(token, 1),
    'reservations in steps': () => stores.recoveryState.reservations(50_000, 1_000),
    'all messages in steps': () => stores.messages.scan(50_000, 1_000),
    'the last message': () => stores.messages.highestId(),
  };

  test.each(Object.entries(queries))('%s', async (_name, query) => {
    const statements = await statementsOf(query);
    expect(statements).not.toEqual([]);
    for (const { sql, values } of statements.filter((statement) => !isInsert(statement))) {
      // As a table of columns: MySQL draws a tree where it is not asked otherwise.
      const plan = await stores.database.select(`EXPLAIN FORMAT=TRADITIONAL ${sql}`, values);
      expect(plan[0]).toHaveProperty('type');
      for (const row of plan.filter((row) => !isPage(row))) {
        const told = `${sql.slice(0, 300)}\n${JSON.stringify(plan)}`;
        expect(['ALL', 'index'], told).not.toContain(row.type);
        expect(String(row.Extra), told).not.toMatch(/filesort|temporary/);
      }
    }
  });

  test.each<[string, number, () => Promise<unknown>]>([
    ['the newest page', 11, () => stores.messages.page(hot, { skip: 0, count: 11 })],
    [
      'a page by cursor in the middle of the chat',
      11,
      () =>
        stores.messages.page(hot, {
          before: { createdAtMs: TIE_MS + 60_001, messageNumber: 5 },
          skip: 0,
          count: 11,
        }),
    ],
    [
      'a page by cursor among 20,000 messages of one time',
      11,
      () =>
        stores.messages.page(hot, {
          before: { createdAtMs: TIE_MS, messageNumber: 20_000 },
          skip: 0,
          count: 11,
        }),
    ],
    ['the oldest page', 11, () => stores.messages.page(hot, { after: 'start', skip: 0, count: 11 })],
    [
      'a page among 20,000 messages of one time, oldest first',
      11,
      () =>
        stores.messages.page(hot, {
          after: { createdAtMs: TIE_MS, messageNumber: 20_000 },
          skip: 0,
          count: 11,
        }),
    ],
    ['the highest chat number', 4, () => stores.recoveryState.highestChatNumber(token)],
    ['the highest message number', 4, () => stores.recoveryState.highestMessageNumber(token, 1)],
    ['the highest reserved chat number', 2, () => stores.recoveryState.highestChatNumber('app-1')],
    ['the highest reserved message number', 2, () => stores.recoveryState.highestMessageNumber('app-1', 5)],
    ['a list of chats', 11, () => stores.chats.list(token, 9_001, 9_011)],
    ['one message', 1, () => stores.messages.find([{ ...hot, messageNumber: 17 }])],
    // Each message, and its creator.
    [
      'a page from before senders',
      2 * 8,
      () => stores.messages.page({ token, chatNumber: 7 }, { skip: 0, count: 11 }),
    ],
    // Each chat, and its highest message.
    ['counters of chats recovered', 1_000, () => stores.chats.highestMessageNumbers(0, 500)],
    ['counters of applications recovered', 1_000, () => stores.applications.highestChatNumbers(0, 500)],
  ])('%s looks at no more rows than it must', async (_name, rows, query) => {
    for (const { sql, values } of await statementsOf(query)) {
      expect(await readsOf((database) => database.select(sql, values))).toBeLessThan(rows * 1.2 + 5);
    }
  });
});
