import { createConnection } from 'mysql2/promise';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import type { Read } from '#lib/contracts/commands/command.ts';
import type { createMessageCommand } from '#lib/contracts/commands/create-message.ts';
import { createApplications } from '#lib/mysql/applications.ts';
import { type Database, openDatabase } from '#lib/mysql/connection/database.ts';
import { createMessages } from '#lib/mysql/messages.ts';
import { createMigrations } from '#lib/mysql/migrations.ts';
import { created, edited } from '../support/commands.ts';
import { openRefusingProxy } from '../support/refusing-proxy.ts';
import { createOwnDatabase, openStores, readMigrations, type Stores } from '../support/stores.ts';

let stores: Stores;
let ana: number;
let bo: number;
let chats = 0;
const token = 'app';
type CreateMessage = Read<typeof createMessageCommand>;
const ignore = () => undefined;

beforeAll(async () => {
  stores = await openStores(inject('urls'), 'adapters');
  [ana = 0, bo = 0] = await stores.addUsers('ana', 'bo');
  await stores.applications.insert([{ token, name: token, creatorId: ana, ...created(1) }]);
});
afterAll(() => stores?.close());

const newChat = async () => {
  chats += 1;
  const chat = { token, chatNumber: chats };
  await stores.chats.insert([{ ...chat, creatorId: ana, ...created(chats) }]);
  return chat;
};
const open = (more: { timeoutMs?: number; poolSize?: number; url?: string } = {}) =>
  openDatabase(more.url ?? stores.url, { poolSize: 1, timeoutMs: 10_000, onError: ignore, ...more });
const numbers = (commands: readonly { messageNumber: number }[]) =>
  commands.map(({ messageNumber }) => messageNumber);
const until = async (isSo: () => Promise<boolean>) => {
  const deadline = Date.now() + 10_000;
  while (!(await isSo())) {
    if (Date.now() > deadline) throw new Error('Did not come true within 10 s');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
};

describe('messages in batches', () => {
  const message = (
    chat: { token: string; chatNumber: number },
    messageNumber: number,
    commandId: number,
    more: Partial<CreateMessage> = {},
  ): CreateMessage => ({
    ...chat,
    messageNumber,
    senderId: ana,
    senderName: 'Ana',
    body: `${messageNumber}`,
    ...created(commandId),
    ...more,
  });

  test('inserts once, however often the command arrives', async () => {
    const chat = await newChat();
    const batch = [message(chat, 1, 11), message(chat, 2, 12), message(chat, 1, 11)];
    const first = await stores.messages.insert(batch);
    expect(numbers(first.stored)).toEqual([1, 2]);
    const again = await stores.messages.insert([message(chat, 2, 12), message(chat, 3, 13)]);
    expect(numbers(again.stored)).toEqual([2, 3]);
    expect(numbers(await stores.messages.page(chat, { skip: 0, count: 10 }))).toEqual([3, 2, 1]);
  });

  test('places each command of a mixed batch by itself', async () => {
    const chat = await newChat();
    await stores.messages.insert([message(chat, 1, 11)]);
    const placed = await stores.messages.insert([
      message(chat, 1, 99, { body: 'another command' }),
      message(chat, 2, 12),
      message(chat, 3, 13, { senderId: 4_000_000_000 }),
      message({ token, chatNumber: 4_000_000 }, 1, 14),
      message({ token: 'nobody', chatNumber: 1 }, 1, 15),
    ]);
    expect(numbers(placed.stored)).toEqual([2]);
    expect(placed.dead.map(({ command, reason }) => [command.commandId, reason])).toEqual([
      [13, 'unknown sender'],
      [99, 'the number belongs to another command'],
    ]);
    expect(placed.deferred.map(({ command }) => command.commandId)).toEqual([14, 15]);
    expect((await stores.messages.find([{ ...chat, messageNumber: 1 }]))[0]?.body).toBe('1');
  });

  test('answers a repeated creation with the row as edits have made it', async () => {
    const chat = await newChat();
    await stores.messages.insert([message(chat, 1, 11)]);
    await stores.messages.update([{ ...chat, messageNumber: 1, body: 'edited', ...edited(20) }]);
    const { stored } = await stores.messages.insert([message(chat, 1, 11)]);
    expect(stored).toMatchObject([{ body: 'edited', version: 20 }]);
  });

  test('keeps the newest edit, in any order of arrival', async () => {
    const chat = await newChat();
    const edit = (messageNumber: number, commandId: number) => ({
      ...chat,
      messageNumber,
      body: `by ${commandId}`,
      ...edited(commandId),
    });
    await stores.messages.insert([message(chat, 1, 11), message(chat, 2, 12)]);
    await stores.messages.update([edit(1, 25), edit(1, 24), edit(2, 30)]);
    const late = await stores.messages.update([edit(1, 23), edit(2, 31), edit(2, 29), edit(3, 40)]);
    expect(numbers(late.stored)).toEqual([1, 2, 2]);
    expect(late.deferred.map(({ command }) => command.messageNumber)).toEqual([3]);
    expect(late.stored.map(({ body, commandId }) => [commandId, body])).toEqual([
      [23, 'by 25'],
      [31, 'by 31'],
      [29, 'by 31'],
    ]);
    const rows = await stores.messages.page(chat, { skip: 0, count: 10 });
    expect(rows.map(({ body, version }) => [body, version])).toEqual([
      ['by 31', 31],
      ['by 25', 25],
    ]);
  });

  test('a deletion from before a loss leaves a message whose number was given again', async () => {
    const chat = await newChat();
    await stores.messages.insert([message(chat, 1, 20), message(chat, 2, 20)]);
    const deletion = (messageNumber: number, commandId: number) => ({
      ...chat,
      messageNumber,
      body: '',
      deleted: true as const,
      ...edited(commandId),
      epoch: 1,
    });
    const notedAs = async () => {
      const rows = await stores.database.select(
        'SELECT number FROM message_deletions WHERE chat_id = (SELECT id FROM chats WHERE token = ? AND number = ?)',
        [token, chat.chatNumber],
      );
      return rows.map((row) => row.number);
    };
    const { stored } = await stores.messages.update([deletion(1, 19)]);
    expect(stored).toMatchObject([{ messageNumber: 1, body: '1', commandId: 19 }]);
    expect(stored[0]).not.toHaveProperty('deletedAtMs');
    expect(await notedAs()).toEqual([]);
    // Behind it, a deletion of this message in the same batch counts.
    await stores.messages.update([deletion(1, 19), deletion(1, 21), deletion(2, 22), deletion(2, 23)]);
    expect(
      await stores.messages.find([1, 2].map((messageNumber) => ({ ...chat, messageNumber }))),
    ).toMatchObject([
      { body: '', deletedAtMs: expect.any(Number), version: 21 },
      { body: '', deletedAtMs: expect.any(Number), version: 22 },
    ]);
    expect(await notedAs()).toEqual([1, 2]);
  });

  test('keeps the handle of each sender, whatever handle a command of another program gives', async () => {
    const chat = await newChat();
    const handle = (await stores.users.findHandles([ana])).get(ana);
    const { stored } = await stores.messages.insert([
      message(chat, 1, 11, { sender: 'somebodyelse0000' }),
      message(chat, 2, 12),
    ]);
    expect(stored.map(({ sender }) => sender)).toEqual([handle, handle]);
    const rows = await stores.database.select(
      'SELECT sender FROM messages WHERE token = ? AND chat_number = ?',
      [chat.token, chat.chatNumber],
    );
    expect(rows).toEqual([{ sender: handle }, { sender: handle }]);
  });

  test('from before senders are read with the handle of their creator, on every way', async () => {
    const chat = await newChat();
    await stores.messages.insert([1, 2, 3].map((number) => message(chat, number, 10 + number)));
    await stores.database.write('UPDATE messages SET sender = NULL WHERE token = ? AND chat_number = ?', [
      chat.token,
      chat.chatNumber,
    ]);
    const handle = (await stores.users.findHandles([ana])).get(ana);
    const edit = { ...chat, messageNumber: 2, body: 'edited', ...edited(20) };
    const read = await Promise.all([
      stores.messages.page(chat, { skip: 0, count: 3 }),
      stores.messages.page(chat, { skip: 1, count: 2 }),
      stores.messages.find([{ ...chat, messageNumber: 1 }]),
      stores.messages.update([edit]).then(({ stored }) => stored),
      stores.messages
        .scan(0, 10_000)
        .then(({ messages }) => messages.filter(({ chatNumber }) => chatNumber === chat.chatNumber)),
    ]);
    expect(read.map((part) => part.map(({ sender }) => sender))).toEqual([
      [handle, handle, handle],
      [handle, handle],
      [handle],
      [handle],
      [handle, handle, handle],
    ]);
  });

  test('keeps bodies and names as they are', async () => {
    const chat = await newChat();
    const bodies = ['a', '😀 e\u0301 \u0000 \\ \' " %', 'مرحبا', '你好', ' trailing ', '界'.repeat(16_000)];
    await stores.messages.insert(
      bodies.map((body, i) => message(chat, i + 1, i + 1, { body, senderName: '😀 Ö' })),
    );
    const rows = await stores.messages.page(chat, { skip: 0, count: 10 });
    expect(rows.map(({ body }) => body).reverse()).toEqual(bodies);
    expect(rows[0]).toMatchObject({ senderName: '😀 Ö', createdAtMs: created(0).createdAtMs });
  });
});

describe('titles of chats in batches', () => {
  const title = (chat: { token: string; chatNumber: number }, commandId: number, text?: string) => ({
    ...chat,
    title: text,
    ...edited(commandId),
  });
  const read = async ({ token, chatNumber }: { token: string; chatNumber: number }) => {
    const row = await stores.chats.find(token, chatNumber);
    return row && [row.title, row.version];
  };

  test('the newest one is kept, in any order of arrival; one of a missing chat is deferred', async () => {
    const [one, other] = [await newChat(), await newChat()];
    await stores.chats.update([title(one, 1_025, 'newest'), title(one, 1_024, 'older')]);
    const missing = { token, chatNumber: 4_000_000 };
    const late = await stores.chats.update([
      title(one, 1_023, 'late'),
      title(other, 1_030, 'first'),
      title(other, 1_031),
      title(missing, 1_040, 'none'),
    ]);
    expect(late.stored.map(({ commandId }) => commandId)).toEqual([1_023, 1_030, 1_031]);
    expect(late.deferred.map(({ command }) => command.commandId)).toEqual([1_040]);
    expect(await read(one)).toEqual(['newest', 1_025]);
    expect(await read(other)).toEqual([undefined, 1_031]);
    expect(await read(missing)).toBeUndefined();
  });

  test('a creation that comes again belongs to its chat, also after an edit', async () => {
    const chat = { token, chatNumber: 5_000, creatorId: ana, title: 'first', ...created(5_000) };
    await stores.chats.insert([chat]);
    await stores.chats.update([title(chat, 5_001, 'second')]);
    expect(await stores.chats.insert([chat])).toMatchObject({ stored: [{ title: 'first' }], dead: [] });
    const { dead } = await stores.chats.insert([{ ...chat, ...created(5_002) }]);
    expect(dead.map(({ reason }) => reason)).toEqual(['the number belongs to another command']);
    expect(await read(chat)).toEqual(['second', 5_001]);
  });

  test('a row from before the versions has that of its creation, and takes no older edit', async () => {
    const chat = { token, chatNumber: 6_000, creatorId: ana, title: 'first', ...created(6_000) };
    await stores.chats.insert([chat]);
    await stores.database.write('UPDATE chats SET version = 0 WHERE token = ? AND number = ?', [
      token,
      6_000,
    ]);
    expect(await read(chat)).toEqual(['first', 6_000]);
    const { dead } = await stores.chats.insert([{ ...chat, title: 'another' }]);
    expect(dead).toHaveLength(1);
    await stores.chats.update([title(chat, 5_999, 'older')]);
    expect(await read(chat)).toEqual(['first', 6_000]);
    await stores.chats.update([title(chat, 6_001, 'newer')]);
    expect(await read(chat)).toEqual(['newer', 6_001]);
  });
});

describe('applications and chats in batches', () => {
  test('insert once, defer the orphan, dead-letter the collision', async () => {
    const application = { name: 'a', creatorId: ana };
    const { stored, dead } = await stores.applications.insert([
      { ...application, token: 'one', ...created(1) },
      { ...application, token: 'one', ...created(1) },
      { ...application, token: 'one', ...created(2) },
      { ...application, token: 'two', ...created(3), creatorId: 4_000_000_000 },
    ]);
    expect(stored.map(({ commandId }) => commandId)).toEqual([1, 1]);
    expect(dead.map(({ command, reason }) => [command.commandId, reason])).toEqual([
      [3, 'unknown creator'],
      [2, 'the token belongs to another command'],
    ]);
    const chat = { creatorId: bo };
    const placed = await stores.chats.insert([
      { ...chat, token: 'one', chatNumber: 1, ...created(5) },
      { ...chat, token: 'one', chatNumber: 1, ...created(5) },
      { ...chat, token: 'one', chatNumber: 1, ...created(6) },
      { ...chat, token: 'none', chatNumber: 1, ...created(7) },
    ]);
    expect(placed.stored.map(({ commandId }) => commandId)).toEqual([5, 5]);
    expect(placed.dead.map(({ command }) => command.commandId)).toEqual([6]);
    expect(placed.deferred.map(({ command }) => command.commandId)).toEqual([7]);
  });

  test('renames by version, and defers a rename without an application', async () => {
    const rename = (name: string, commandId: number, of = 'renamed') => ({
      token: of,
      name,
      ...edited(commandId),
    });
    await stores.applications.insert([{ token: 'renamed', name: '0', creatorId: ana, ...created(1) }]);
    await stores.applications.update([rename('3', 30), rename('2', 20)]);
    const { stored, deferred } = await stores.applications.update([
      rename('1', 10),
      rename('x', 40, 'absent'),
    ]);
    expect([stored.length, deferred.length]).toEqual([1, 1]);
    expect((await stores.applications.find('renamed'))?.name).toBe('3');
  });

  test('raises counts and never lowers them; tells which are stored', async () => {
    const chat = await newChat();
    const raise = (count: number) => stores.chats.raiseMessagesCounts([{ ...chat, count }]);
    await raise(5);
    await raise(3);
    expect((await stores.chats.find(token, chat.chatNumber))?.messagesCount).toBe(5);
    expect(await stores.chats.raiseMessagesCounts([{ token, chatNumber: 4_000_000, count: 1 }])).toEqual([]);
    expect(
      await stores.applications.raiseChatsCounts([
        { token, count: chats },
        { token: 'absent', count: 1 },
      ]),
    ).toEqual([{ token, count: chats }]);
  });

  test('tells no count stored whose row came in the middle', async () => {
    const late = { token: 'late', count: 3 };
    const { database } = stores;
    const arrive = () =>
      stores.applications.insert([{ token: late.token, name: 'late', creatorId: ana, ...created(50) }]);
    let arrived: Promise<unknown> | undefined;
    /** The row is there as soon as the first statement has been answered. */
    const then = async <Result>(answer: Promise<Result>): Promise<Result> => {
      const answered = await answer;
      arrived ??= arrive();
      await arrived;
      return answered;
    };
    const watched: Database = {
      ...database,
      select: (sql, values) => then(database.select(sql, values)),
      write: (sql, values) => then(database.write(sql, values)),
    };
    const told = await createApplications(watched).raiseChatsCounts([late]);
    const stored = (await stores.applications.find(late.token))?.chatsCount;
    expect({ told, stored }).toEqual({ told: [], stored: 0 });
    expect(await stores.applications.raiseChatsCounts([late])).toEqual([late]);
    expect((await stores.applications.find(late.token))?.chatsCount).toBe(3);
  });
});

describe('a server in trouble', () => {
  /** Another program's transaction. */
  const inTransaction = async (
    work: (query: (sql: string, values?: (string | number)[]) => Promise<unknown>) => Promise<void>,
  ) => {
    const connection = await createConnection(stores.url);
    try {
      await connection.beginTransaction();
      await work((sql, values = []) => connection.query(sql, values));
      await connection.rollback();
    } finally {
      connection.destroy();
    }
  };
  const title = 'UPDATE chats SET title = ? WHERE token = ? AND number = ?';
  const waitingFor = async (text: string): Promise<number | undefined> => {
    const rows = await stores.database.select(
      "SELECT id, info FROM information_schema.processlist WHERE command = 'Query' AND db = DATABASE()",
      [],
    );
    return rows.find(
      ({ id, info }) => id && String(info).includes(text) && !String(info).includes('processlist'),
    )?.id;
  };

  test('a deadlock is tried again', async () => {
    const [first, second] = [await newChat(), await newChat()];
    const bulk = await newChat();
    await stores.messages.insert(
      Array.from({ length: 50 }, (_, i) => ({
        ...bulk,
        messageNumber: i + 1,
        senderId: ana,
        body: 'b',
        ...created(i + 1),
      })),
    );
    const deadlocks = async () =>
      Number(
        (await stores.database.select("SHOW GLOBAL STATUS LIKE 'Innodb_deadlocks'", []))[0]?.Value ??
          Number.NaN,
      );
    const before = await deadlocks();
    let ours: Promise<unknown> | undefined;
    await inTransaction(async (query) => {
      // Has changed more rows, so that the server chooses ours as the victim.
      await query('UPDATE messages SET body = ? WHERE token = ? AND chat_number = ?', [
        'c',
        token,
        bulk.chatNumber,
      ]);
      await query(title, ['theirs', token, second.chatNumber]);
      ours = stores.chats.raiseMessagesCounts([
        { ...first, count: 7 },
        { ...second, count: 8 },
      ]);
      ours.catch(ignore);
      await until(async () => (await waitingFor('messages_count')) !== undefined);
      await query(title, ['theirs', token, first.chatNumber]);
    });
    await ours;
    const after = await deadlocks();
    // Not every server counts them.
    if (!Number.isNaN(after)) expect(after).toBeGreaterThan(before);
    expect((await stores.chats.find(token, first.chatNumber))?.messagesCount).toBe(7);
    expect((await stores.chats.find(token, second.chatNumber))?.messagesCount).toBe(8);
  });

  test('a lock that is not given ends as unavailable, and the next statement works', async () => {
    const { chatNumber } = await newChat();
    const database = open({ timeoutMs: 300 });
    await inTransaction(async (query) => {
      await query(title, ['theirs', token, chatNumber]);
      await expect(database.write(title, ['ours', token, chatNumber])).rejects.toMatchObject({
        code: 'unavailable',
      });
    });
    await database.ping();
    await database.close();
  });

  test('a connection killed while idle is replaced without an error', async () => {
    const database = open();
    const [row] = await database.select('SELECT CONNECTION_ID() AS id', []);
    await stores.database.write(`KILL ${Number(row?.id)}`, []);
    const [next] = await database.select('SELECT CONNECTION_ID() AS id', []);
    expect(next?.id).not.toBe(row?.id);
    await database.close();
  });

  test('a connection that the server gave up while we slept is replaced without an error', async () => {
    const database = open();
    await database.write('SET SESSION wait_timeout = 1', []);
    // As an environment that is frozen: what the server said meanwhile is read only after the next statement is sent.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2_500);
    expect(await database.select('SELECT 1 AS one', [])).toEqual([{ one: 1 }]);
    await database.close();
  });

  test('a statement whose connection is killed is run again', async () => {
    const { chatNumber } = await newChat();
    const database = open();
    let ours: Promise<number> | undefined;
    await inTransaction(async (query) => {
      await query(title, ['theirs', token, chatNumber]);
      ours = database.write(title, ['killed once', token, chatNumber]);
      ours.catch(ignore);
      let id: number | undefined;
      await until(async () => {
        id = await waitingFor('killed once');
        return id !== undefined;
      });
      await stores.database.write(`KILL ${Number(id)}`, []);
    });
    expect(await ours).toBe(1);
    await database.close();
  });

  test('a server that is read-only is unavailable, and is used again when it is not', async () => {
    const { chatNumber } = await newChat();
    const url = new URL(stores.url);
    const user = `reader_${process.pid}`;
    await stores.database.write(`CREATE USER ${user} IDENTIFIED BY 'secret'`, []);
    await stores.database.write(
      `GRANT SELECT, INSERT, UPDATE ON \`${url.pathname.slice(1)}\`.* TO ${user}`,
      [],
    );
    url.username = user;
    url.password = 'secret';
    const database = open({ url: url.href });
    try {
      await database.write(title, ['before', token, chatNumber]);
      await stores.database.write('SET GLOBAL read_only = 1', []);
      await expect(database.write(title, ['during', token, chatNumber])).rejects.toMatchObject({
        code: 'unavailable',
      });
      expect(await createMessages(database).page({ token, chatNumber }, { skip: 0, count: 1 })).toEqual([]);
      await stores.database.write('SET GLOBAL read_only = 0', []);
      expect(await database.write(title, ['after', token, chatNumber])).toBe(1);
    } finally {
      await stores.database.write('SET GLOBAL read_only = 0', []);
      await database.close();
      await stores.database.write(`DROP USER ${user}`, []);
    }
  });

  test('a connection whose session cannot be prepared is closed, and no statement runs on it', async () => {
    const proxy = await openRefusingProxy(stores.url, 'sql_mode');
    const database = open({ url: proxy.url });
    try {
      await expect(database.select('SELECT 1 AS one', [])).rejects.toMatchObject({ code: 'unavailable' });
      expect(proxy.refused).toBe(1);
      await until(async () => proxy.closedByClient === 1);
      expect(proxy.sentAfterRefusal).toBe('');
      expect(await database.select('SELECT @@sql_mode AS mode', [])).toEqual([
        { mode: 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION' },
      ]);
    } finally {
      await database.close();
      await proxy.close();
    }
  });

  test('no server at all is unavailable', async () => {
    const database = open({ url: 'mysql://nobody:x@127.0.0.1:9/none', timeoutMs: 500 });
    await expect(database.ping()).rejects.toMatchObject({ code: 'unavailable' });
    await database.close();
  });

  test("an error about a command's values is no outage", async () => {
    const { chatNumber } = await newChat();
    await expect(stores.database.write(title, ['x'.repeat(201), token, chatNumber])).rejects.toMatchObject({
      code: 'ER_DATA_TOO_LONG',
    });
  });
});

test('migrations run once, though two begin at the same time', async () => {
  const own = await createOwnDatabase(inject('urls').MYSQL_URL, 'migrations');
  const databases = [open({ url: own.url }), open({ url: own.url })];
  const migrations = await readMigrations();
  const applied = await Promise.all(
    databases.map((database) => createMigrations(database).apply(migrations)),
  );
  expect(applied.flat().sort()).toEqual(migrations.map(({ name }) => name).sort());
  expect(applied.map(({ length }) => length).sort()).toEqual([0, migrations.length]);
  for (const database of databases) await database.close();
  await own.remove();
});
