import { once } from 'node:events';
import { type AddressInfo, connect as connectTcp, createServer, type Server, type Socket } from 'node:net';
import { connect } from 'amqplib';
import { type Connection, createConnection, type RowDataPacket } from 'mysql2/promise';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { eventually, type System, startSystem, upTo } from '../support/own-system.ts';
import type { Queue } from '../support/queue-consumers.ts';

/*
 * The consumer functions on a MySQL with faults. They use an account that has all rights in the database and none on the
 * server. A proxy in between can cut a connection at the worst moment.
 */

let system: System;
let admin: Connection;
let proxy: Server;
let token: string;
let chatNumber: number;
let stopConsuming: (() => Promise<void>) | undefined;
let connections = 0;
/** The fault of the next `INSERT INTO messages`: the statement is lost, or the answer to its commit is lost. */
let cut: 'before it arrives' | 'before its answer' | undefined;
const held: Socket[] = [];

const listen = async (port: number): Promise<number> => {
  proxy = createServer((client) => {
    connections += 1;
    const server = connectTcp(port, '127.0.0.1');
    for (const socket of [client, server]) socket.on('error', () => undefined);
    client.on('close', () => server.destroy());
    server.on('close', () => client.destroy());
    let hasInserted = false;
    client.on('data', (chunk) => {
      const isInsert = chunk.includes('INSERT INTO messages');
      hasInserted ||= isInsert;
      const isHit = cut === 'before its answer' ? hasInserted && chunk.includes('COMMIT') : isInsert;
      if (cut === undefined || !isHit) {
        server.write(chunk);
        return;
      }
      if (cut === 'before it arrives') {
        client.resetAndDestroy();
      } else {
        server.unpipe(client);
        held.push(client);
        server.write(chunk);
      }
      cut = undefined;
    });
    server.pipe(client);
  });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  return (proxy.address() as AddressInfo).port;
};

beforeAll(async () => {
  system = await startSystem('faults-mysql', {
    only: ['mysql', 'redis', 'rabbitmq'],
    environment: async ({ MYSQL_URL }) => {
      admin = await createConnection(MYSQL_URL);
      const url = new URL(MYSQL_URL);
      await admin.query("CREATE USER persister IDENTIFIED BY 'secret'");
      await admin.query(`GRANT ALL ON \`${url.pathname.slice(1)}\`.* TO persister`);
      url.port = String(await listen(Number(url.port)));
      url.username = 'persister';
      url.password = 'secret';
      return { MYSQL_URL: url.href };
    },
  });
});

afterEach(async () => {
  await stopConsuming?.();
  stopConsuming = undefined;
});

afterAll(async () => {
  await admin?.end();
  await system?.stop();
  proxy?.close();
});

const begin = async () => {
  stopConsuming = await system.consume();
  token = await system.accept.application();
  chatNumber = await system.accept.chat(token);
  await eventually(async () => {
    const [rows] = await admin.query<RowDataPacket[]>('SELECT 1 FROM chats WHERE token = ?', [token]);
    expect(rows).toHaveLength(1);
  });
};
const publish = async (queue: Queue, ...contents: string[]): Promise<void> => {
  const connection = await connect(system.stack.urls.RABBITMQ_URL);
  try {
    const channel = await connection.createConfirmChannel();
    for (const content of contents) channel.sendToQueue(queue, Buffer.from(content), { persistent: true });
    await channel.waitForConfirms();
  } finally {
    await connection.close();
  }
};
const stored = async (): Promise<{ number: number; body: string }[]> => {
  const [rows] = await admin.query<RowDataPacket[]>(
    'SELECT number, body FROM messages WHERE token = ? AND chat_number = ? ORDER BY number',
    [token, chatNumber],
  );
  return rows.map(({ number, body }) => ({ number, body }));
};
const numbersStored = async () => (await stored()).map(({ number }) => number);

type Letters = Record<string, { held: number; letters: { reason: string; command: object }[] }>;
const dead = async (queue: Queue) => {
  const shown = (await system.invoke('deadLetters', { action: 'show', queue })) as Letters;
  return shown[queue]?.letters ?? [];
};
/** Waits until MySQL has each message once, every outbox is empty, and there are no dead letters. */
const whole = (count: number) =>
  eventually(async () => {
    expect(await numbersStored()).toEqual(upTo(count));
    const { 'index-message': _unindexed, ...depths } = await system.depths();
    expect(Object.values(depths).every((depth) => depth === 0)).toBe(true);
    expect(await system.invoke('deadLetters')).toEqual(
      Object.fromEntries(
        [
          'create-application',
          'update-application',
          'create-chat',
          'update-chat',
          'create-message',
          'update-message',
          'index-message',
        ].map((queue) => [queue, { held: 0, reasons: {}, letters: [] }]),
      ),
    );
  }, 30_000);
/** Runs `work`, and waits until the queue's batch has returned `times` times since. */
const returned = async (queue: Queue, times: number, work: () => Promise<unknown>) => {
  const before = system.failures(queue);
  await work();
  await eventually(() => expect(system.failures(queue) - before).toBeGreaterThanOrEqual(times), 45_000);
};
const rename = (name: string) => system.accept.rename(token, name);
const edit = (messageNumber: number, body: string) =>
  system.accept.edit(token, chatNumber, messageNumber, body);

describe('a server that was demoted', { timeout: 60_000 }, () => {
  test('read-only for all: every kind of command returns to its queue, and is applied once afterwards', async () => {
    await begin();
    await system.accept.messages(token, chatNumber, 5);
    await whole(5);
    await admin.query('SET GLOBAL read_only = 1');
    let other = '';
    try {
      await returned('create-message', 3, () => system.accept.messages(token, chatNumber, 20));
      await returned('create-application', 1, async () => {
        other = await system.accept.application();
      });
      await returned('update-application', 1, () => rename('renamed meanwhile'));
      await returned('create-chat', 1, () => system.accept.chat(token));
      await returned('update-message', 1, () => edit(1, 'edited meanwhile'));
      expect(await numbersStored()).toEqual(upTo(5));
    } finally {
      await admin.query('SET GLOBAL read_only = 0');
    }
    await whole(25);
    expect((await stored())[0]).toEqual({ number: 1, body: 'edited meanwhile' });
    const [rows] = await admin.query<RowDataPacket[]>(
      'SELECT token, name FROM applications WHERE token IN (?, ?) ORDER BY id',
      [token, other],
    );
    expect(rows).toEqual([
      { token, name: 'renamed meanwhile' },
      { token: other, name: 'app' },
    ]);
  });

  test('connections to it are dropped: the next attempt finds the new primary', async () => {
    await begin();
    const [[variable]] = await admin.query<RowDataPacket[]>(
      "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('tx_read_only', 'transaction_read_only')",
    );
    // Affects only sessions that begin after this point. They are the sessions to the demoted server.
    const setReadOnly = (on: 0 | 1) => admin.query(`SET GLOBAL ${variable?.Variable_name} = ${on}`);
    await setReadOnly(1);
    try {
      const [sessions] = await admin.query<RowDataPacket[]>(
        "SELECT id FROM information_schema.processlist WHERE user = 'persister'",
      );
      for (const { id } of sessions) await admin.query(`KILL ${id}`).catch(() => undefined);
      await returned('create-message', 2, () => system.accept.messages(token, chatNumber, 20));
    } finally {
      await setReadOnly(0);
    }
    const before = connections;
    await whole(20);
    expect(connections).toBeGreaterThan(before);
  });
});

describe('an answer that is about the server, not about the command', { timeout: 60_000 }, () => {
  test.each([
    ['read-only mode', 'HY000', 1836],
    ['the disk is full', 'HY000', 1030],
    ['the table is full', 'HY000', 1114],
    ['a table that is not there', '42S02', 1146],
    ['a column that is not there yet', '42S22', 1054],
    ['a right that was taken away', '42000', 1142],
    ['a cluster that has no quorum', '08S01', 1047],
    ['a statement that was ended', '70100', 1969],
    ['a deadlock, again and again', '40001', 1213],
    ['an error that no one has heard of', 'HY000', 9999],
  ])(
    '%s: the whole batch is redelivered, and no command becomes a dead letter',
    async (_what, state, code) => {
      await begin();
      await admin.query(
        `CREATE TRIGGER trouble BEFORE INSERT ON messages FOR EACH ROW
       SIGNAL SQLSTATE '${state}' SET MYSQL_ERRNO = ${code}, MESSAGE_TEXT = 'trouble'`,
      );
      try {
        await returned('create-message', 2, () => system.accept.messages(token, chatNumber, 20));
        expect(await dead('create-message')).toEqual([]);
      } finally {
        await admin.query('DROP TRIGGER trouble');
      }
      await whole(20);
    },
  );

  test('a malformed message becomes one dead letter, however often its batch is redelivered', async () => {
    await begin();
    await admin.query(
      `CREATE TRIGGER trouble BEFORE INSERT ON messages FOR EACH ROW
       SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = 1030, MESSAGE_TEXT = 'trouble'`,
    );
    try {
      await system.accept.messages(token, chatNumber, 5);
      await returned('create-message', 4, () => publish('create-message', '{"not": "a command"}'));
    } finally {
      await admin.query('DROP TRIGGER trouble');
    }
    await eventually(async () => expect(await numbersStored()).toEqual(upTo(5)));
    await eventually(async () => expect(await dead('create-message')).toHaveLength(1));
    await system.invoke('deadLetters', { action: 'discard', queue: 'create-message' });
  });
});

describe('an answer that is about the command', { timeout: 60_000 }, () => {
  test.each([
    ['a value that does not fit', '22001', 1406],
    ['a character that its column cannot hold', 'HY000', 1366],
    ['a constraint', '23000', 1452],
    ['a trigger of the operator', '45000', 1644],
  ])('%s: only this command becomes a dead letter, with the reason', async (_what, state, code) => {
    await begin();
    await admin.query(
      `CREATE TRIGGER trouble BEFORE INSERT ON messages FOR EACH ROW
       BEGIN
         IF NEW.body = 'poison' THEN
           SIGNAL SQLSTATE '${state}' SET MYSQL_ERRNO = ${code}, MESSAGE_TEXT = 'not this one';
         END IF;
       END`,
    );
    try {
      await system.accept.messages(token, chatNumber, 10);
      await system.accept.message(token, chatNumber, 'poison');
      await system.accept.messages(token, chatNumber, 10);
      const others = upTo(21).filter((number) => number !== 11);
      await eventually(async () => expect(await numbersStored()).toEqual(others));
      await eventually(async () =>
        expect(await dead('create-message')).toMatchObject([
          {
            reason: expect.stringMatching(/^not this one \(\w+, [0-9A-Z]{5}\)$/),
            command: { messageNumber: 11, body: 'poison' },
          },
        ]),
      );
      // Readers no longer see the dead message, although they saw it while it was pending.
      await eventually(async () => {
        const { messages: page } = await system.services
          .conversation()
          .page({ token, chatNumber }, { skip: 0, count: 100 });
        expect(page.map(({ messageNumber }) => messageNumber).sort((a, b) => a - b)).toEqual(others);
      });
      // A redrive brings the command back while MySQL refuses it. Later, a redrive applies it once.
      await system.invoke('deadLetters', { action: 'redrive', queue: 'create-message' });
      await eventually(async () => expect(await dead('create-message')).toHaveLength(1));
      expect(await numbersStored()).toEqual(others);
    } finally {
      await admin.query('DROP TRIGGER trouble');
    }
    await system.invoke('deadLetters', { action: 'redrive', queue: 'create-message' });
    await whole(21);
  });
});

describe('a connection that is lost', { timeout: 60_000 }, () => {
  test.each(['before it arrives', 'before its answer'] as const)('with an insert, %s', async (when) => {
    await begin();
    await system.accept.messages(token, chatNumber, 3);
    await whole(3);
    cut = when;
    await system.accept.messages(token, chatNumber, 20);
    if (when === 'before its answer') {
      await eventually(() => expect(held).toHaveLength(1));
      // Committed, and nobody was told.
      await eventually(async () => expect((await numbersStored()).length).toBeGreaterThan(3));
      held.pop()?.resetAndDestroy();
    }
    await whole(23);
    expect(cut).toBeUndefined();
  });
});

describe('the same number from another command', { timeout: 60_000 }, () => {
  test('becomes a dead letter with the reason, for every kind of command, and the stored item stays', async () => {
    await begin();
    await system.accept.message(token, chatNumber, 'the first');
    await whole(1);
    const date = '2024-05-01T12:00:00.000Z';
    const by = system.userId;
    await publish('create-application', JSON.stringify({ token, name: 'another', creatorId: by, date }));
    await publish(
      'create-chat',
      JSON.stringify({ token, chatNumber, creatorId: by, title: 'another', date }),
    );
    await publish(
      'create-message',
      JSON.stringify({ token, chatNumber, messageNumber: 1, senderId: by, body: 'another', date }),
    );
    const expected = [
      ['create-application', 'the token belongs to another command', { name: 'another' }],
      ['create-chat', 'the number belongs to another command', { title: 'another' }],
      ['create-message', 'the number belongs to another command', { body: 'another' }],
    ] as const;
    for (const [queue, reason, command] of expected) {
      await eventually(async () => expect(await dead(queue)).toMatchObject([{ reason, command }]));
      // A redriven command becomes a dead letter again. It never replaces the message with its number.
      await system.invoke('deadLetters', { action: 'redrive', queue });
      await eventually(async () => expect(await dead(queue)).toMatchObject([{ reason, command }]));
      await system.invoke('deadLetters', { action: 'discard', queue });
    }
    await whole(1);
    expect(await stored()).toEqual([{ number: 1, body: 'the first' }]);
    const [rows] = await admin.query<RowDataPacket[]>(
      'SELECT a.name, c.title FROM applications a JOIN chats c ON c.application_id = a.id WHERE a.token = ?',
      [token],
    );
    expect(rows).toEqual([{ name: 'app', title: null }]);
  });

  test('is recognized by its content, if both have no id and the same date', async () => {
    await begin();
    const date = '2024-05-01T12:00:00.000Z';
    const by = system.userId;
    const made = 'made-by-another-program1';
    const queues = {
      'create-application': { token: made, creatorId: by, date },
      'create-chat': { token: made, chatNumber: 1, creatorId: by, date },
      'create-message': { token: made, chatNumber: 1, messageNumber: 1, senderId: by, date },
    } as const;
    const texts = { 'create-application': 'name', 'create-chat': 'title', 'create-message': 'body' } as const;
    for (const queue of ['create-application', 'create-chat', 'create-message'] as const) {
      const said = (text: string) => JSON.stringify({ ...queues[queue], [texts[queue]]: text });
      // Twice the same is a copy; the other one is not.
      await publish(queue, said('one'), said('one'), said('two'));
      await eventually(async () =>
        expect(await dead(queue)).toMatchObject([
          {
            reason: expect.stringContaining('belongs to another command'),
            command: { [texts[queue]]: 'two' },
          },
        ]),
      );
      await system.invoke('deadLetters', { action: 'discard', queue });
    }
    const [rows] = await admin.query<RowDataPacket[]>(
      `SELECT a.name, c.title, m.body FROM applications a JOIN chats c ON c.application_id = a.id
       JOIN messages m ON m.chat_id = c.id WHERE a.token = ?`,
      [made],
    );
    expect(rows).toEqual([{ name: 'one', title: 'one', body: 'one' }]);
  });
});
