import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { promisify } from 'node:util';
import { Client } from '@opensearch-project/opensearch';
import { afterAll, beforeAll, describe, expect, inject, test, vi } from 'vitest';
import { type IndexableMessage, toIndexable } from '#lib/domain/message.ts';
import { createLambdaContext } from '../../local/emulation/lambda-context.ts';
import { created, edited } from '../support/commands.ts';
import { createIndexContents } from '../support/index-contents.ts';
import { loadServices } from '../support/load-services.ts';
import { createOwnDatabase } from '../support/stores.ts';

/*
 * The functions themselves, on the run's servers, with a database, an index and keys of this file's own. The queue
 * `index-message` is the run's: what this file finds there and did not write, it leaves out.
 */

const name = 'operations';
const prefix = `${inject('names').indexPrefix}${name}-`;
const urls = inject('urls');
const client = new Client({ node: urls.OPENSEARCH_URL ?? '' });
const contents = createIndexContents(client, prefix);
const tokens = ['appone', 'apptwo'];
const handle = 'adaadaadaadaadaa';
const CHATS = 3;
const PER_CHAT = 400;

let own: Awaited<ReturnType<typeof createOwnDatabase>>;
let services: Awaited<ReturnType<typeof loadServices>>;

const reindex = async (event: object = {}, timeoutMs = 300_000) =>
  (await import('../../functions/operations/reindex.ts')).handler(
    event,
    createLambdaContext(name, timeoutMs),
  );
const reconcile = async (event: object = {}, timeoutMs = 300_000) =>
  (await import('../../functions/operations/reconcile.ts')).handler(
    { settledForSeconds: 0, ...event },
    createLambdaContext(name, timeoutMs),
  );

/** The version of each message in the index. */
const indexed = async (): Promise<Map<string, number>> => {
  await contents.refresh();
  const found = new Map<string, number>();
  const scan = services.indexScan();
  for (let at: Parameters<typeof scan.page>[0] | undefined = { shard: 0, seqNo: -1 }; at; ) {
    const page: Awaited<ReturnType<typeof scan.page>> = await scan.page(at, 500);
    for (const { token, chatNumber, messageNumber, version } of page.messages)
      found.set(`${token}:${chatNumber}:${messageNumber}`, version);
    at = page.next;
  }
  return found;
};
const rows = async (): Promise<Map<string, number>> => {
  const found = await services
    .database()
    .select('SELECT token, chat_number, number, version FROM messages', []);
  return new Map(found.map((row) => [`${row.token}:${row.chat_number}:${row.number}`, row.version]));
};
const sorted = (map: Map<string, number>) => [...map].sort(([one], [other]) => (one < other ? -1 : 1));
const expectEqual = async () => expect(sorted(await indexed())).toEqual(sorted(await rows()));

/** Indexes this file's messages in the queue `index-message`, as the consumer does. @returns their number */
const index = async (): Promise<number> => {
  const { connect } = await import('amqplib');
  const connection = await connect(urls.RABBITMQ_URL);
  const channel = await connection.createChannel();
  const found: IndexableMessage[] = [];
  try {
    for (let message = await channel.get('index-message'); message; ) {
      const body = JSON.parse(message.content.toString());
      if (tokens.includes(body.token)) found.push(body);
      channel.ack(message);
      message = await channel.get('index-message');
    }
    await services.messageIndex().write(found);
  } finally {
    await connection.close();
  }
  return found.length;
};

let clock = Date.now() * 1000;
const insert = async (token: string, chatNumber: number, numbers: readonly number[]) =>
  services.messages().insert(
    numbers.map((messageNumber) => ({
      token,
      chatNumber,
      messageNumber,
      senderId: 1,
      senderName: 'Ada',
      body: `message ${messageNumber}`,
      ...created(++clock),
    })),
  );
const edit = async (token: string, chatNumber: number, messageNumber: number) =>
  services.messages().update([
    {
      token,
      chatNumber,
      messageNumber,
      body: 'edited',
      ...edited(++clock),
    },
  ]);

beforeAll(async () => {
  own = await createOwnDatabase(urls.MYSQL_URL, name);
  Object.assign(process.env, {
    ...urls,
    MYSQL_URL: own.url,
    OPENSEARCH_INDEX_PREFIX: prefix,
    REDIS_KEY_PREFIX: `${inject('names').keyPrefix}${name}:`,
    JWT_SECRET: 'x'.repeat(32),
    POWERTOOLS_LOG_LEVEL: 'SILENT',
  });
  services = await loadServices();
  await (await import('../../functions/operations/migrate.ts')).handler(
    {},
    createLambdaContext(name, 60_000),
  );
  // A server that was given by URL may hold what an earlier run has left.
  await index();
  await services
    .database()
    .write(
      "INSERT INTO users (id, name, email, handle, password, created_at) VALUES (1, 'Ada', 'a@b.c', ?, '-', NOW(3))",
      [handle],
    );
  for (const token of tokens) {
    await services.applications().insert([{ token, name: token, creatorId: 1, ...created(++clock) }]);
    for (let chatNumber = 1; chatNumber <= CHATS; chatNumber += 1) {
      await services.chats().insert([{ token, chatNumber, creatorId: 1, ...created(++clock) }]);
      await insert(
        token,
        chatNumber,
        Array.from({ length: PER_CHAT }, (_, at) => at + 1),
      );
    }
  }
});

afterAll(async () => {
  await services?.database().close();
  await own?.remove();
  await client.indices.delete({ index: `${prefix}*` });
  await client.close();
});

describe('reindex', { timeout: 90_000 }, () => {
  test('fills an empty index from MySQL, and continues where it was stopped', async () => {
    // Too little time to read anything: the rebuild is begun, and left.
    expect(await reindex({}, 20_000)).toMatchObject({ state: 'stopped', rows: 0, percent: 0 });
    expect((await indexed()).size).toBe(0);
    expect(await reindex()).toMatchObject({
      state: 'done',
      rows: tokens.length * CHATS * PER_CHAT,
      percent: 100,
      refused: 0,
    });
    await expectEqual();
    const names = Object.keys((await client.indices.get({ index: `${prefix}*` })).body);
    expect(names).toEqual([`${prefix}messages-000002`]);
  });

  test('loses no concurrent write and no concurrent edit', async () => {
    let isDone = false;
    const writing = (async () => {
      for (let number = PER_CHAT + 1; !isDone; number += 1) {
        const { stored } = await insert('appone', 1, [number]);
        const { stored: edited } = await edit('appone', 1, number % PER_CHAT || 1);
        await services.messageIndex().write(
          [...stored, ...edited].map((message) => ({
            ...message,
            createdAt: new Date(message.createdAtMs).toISOString(),
          })),
        );
      }
    })();
    const report = await reindex().finally(() => {
      isDone = true;
    });
    await writing;
    expect(report).toMatchObject({ state: 'done' });
    await expectEqual();
  });
});

describe('reconcile', { timeout: 60_000 }, () => {
  test('finds nothing to repair in an empty database and index', async () => {
    expect(await reconcile({ sample: 'whole' })).toEqual({
      state: 'done',
      rows: (await rows()).size,
      documents: (await rows()).size,
      missing: 0,
      older: 0,
      newer: 0,
      surplus: 0,
    });
    expect(await index()).toBe(0);
  });

  test('repairs missing, older, newer and surplus documents; only counts them without repair', async () => {
    // Else a removed version is remembered for a minute.
    await client.indices.putSettings({ index: `${prefix}messages`, body: { 'index.gc_deletes': '0s' } });
    await services.messageIndex().remove([{ token: 'appone', chatNumber: 2, messageNumber: 7 }]);
    await edit('appone', 3, 8);
    const message = {
      token: 'apptwo',
      chatNumber: 1,
      messageNumber: 9,
      senderName: 'Ada',
      body: 'from the future',
      createdAt: '2026-01-01T00:00:00.000Z',
      version: clock + 1e9,
    };
    await services
      .messageIndex()
      .write([message, { ...message, chatNumber: 99 }, { ...message, token: 'noapp', messageNumber: 1 }]);
    await contents.refresh();
    const found = { missing: 1, older: 1, newer: 1, surplus: 2 };
    expect(await reconcile({ sample: 'whole', repair: false })).toMatchObject(found);
    expect(await index()).toBe(0);
    await expect(reconcile({ sample: 'whole', removeAtMost: 1 })).rejects.toThrow(/higher removeAtMost/);
    await index();
    await contents.refresh();
    await reconcile({ sample: 'whole' });
    await reconcile({ sample: 'whole' });
    await index();
    await expectEqual();
  });

  test('finds what functions of the release before have written beside a deploy', async () => {
    const lacking = { token: 'appone', chatNumber: 2, messageNumber: 3 };
    const older = { ...lacking, messageNumber: 4 };
    const [row] = await services.messages().find([lacking]);
    const [olderRow] = await services.messages().find([older]);
    if (row === undefined || olderRow === undefined) throw new Error('both messages are stored');
    // The command of an old consumer has no sender, and an old consumer of the index writes few fields.
    const { sender: _sender, ...command } = toIndexable(row);
    await services.messageIndex().write([command]);
    await client.index({
      index: `${prefix}messages`,
      id: 'appone:2:4',
      routing: 'appone',
      version: olderRow.version,
      version_type: 'external_gte',
      body: {
        chat: 'appone:2',
        messageNumber: 4,
        createdAt: toIndexable(olderRow).createdAt,
        body: 'message 4',
      },
    });
    await contents.refresh();
    expect(await reconcile({ sample: 'whole' })).toMatchObject({
      missing: 0,
      older: 2,
      newer: 0,
      surplus: 0,
    });
    expect(await index()).toBe(2);
    await contents.refresh();
    expect(await services.messageIndex().fetchStates([lacking, older])).toEqual(
      new Map([
        ['appone:2:3', { version: row.version, sender: handle }],
        ['appone:2:4', { version: olderRow.version, sender: handle }],
      ]),
    );
    expect(await reconcile({ sample: 'whole' })).toMatchObject({
      missing: 0,
      older: 0,
      newer: 0,
      surplus: 0,
    });
  });

  test('repairs only the differences in the sample', async () => {
    // The index is behind in every message.
    await services.database().write('UPDATE messages SET version = version + 1', []);
    const upToDate = async (): Promise<string[]> => {
      const held = await indexed();
      return [...(await rows())].flatMap(([key, version]) => (held.get(key) === version ? [key] : []));
    };
    expect(await upToDate()).toEqual([]);
    const sampled = await reconcile({ sample: 100 });
    expect(sampled).toMatchObject({ state: 'done', older: sampled.rows, missing: 0, surplus: 0 });
    expect(sampled.older).toBeGreaterThan(0);
    expect(await index()).toBe(sampled.older);
    const repaired = await upToDate();
    expect(repaired).toHaveLength(sampled.older);
    await services.database().write(
      `UPDATE messages SET version = version - 1
         WHERE CONCAT_WS(':', token, chat_number, number) NOT IN (${repaired.map(() => '?').join(', ')})`,
      repaired,
    );
    await expectEqual();
  });

  test('takes a sample; stops in time and continues', async () => {
    const report = await reconcile({ sample: 250 });
    expect(report).toMatchObject({ state: 'done', missing: 0, older: 0, newer: 0, surplus: 0 });
    expect(report.rows).toBeGreaterThan(0);
    expect(report.documents).toBeGreaterThan(0);
    const stopped = await reconcile({ sample: 'whole' }, 20_000);
    expect(stopped).toMatchObject({ state: 'stopped', cursor: { afterId: 0 } });
    expect(await reconcile({ sample: 'whole', cursor: stopped.cursor })).toMatchObject({ state: 'done' });
  });
});

describe('the plain command', { timeout: 180_000 }, () => {
  const root = resolve(import.meta.dirname, '../..');
  const command = ['local/operations.ts', 'reindex'];

  test('killed during a reindex under writes: the next run continues, and misses nothing', async () => {
    for (let from = 0; from < 15_000; from += 1_000)
      await insert(
        'apptwo',
        3,
        Array.from({ length: 1_000 }, (_, at) => 1_000 + from + at),
      );
    // A run whose time is over after two batches keeps its place.
    let batches = 0;
    const stopped = await services.reindex()('continue', {
      remainingMs: () => (batches++ < 2 ? 300_000 : 0),
      log: () => undefined,
    });
    expect(stopped).toMatchObject({ state: 'stopped', rows: 1_000 });
    const [building = ''] = Object.keys(
      (await client.indices.getAlias({ name: `${prefix}messages-building` })).body,
    );

    let isDone = false;
    const writing = (async () => {
      for (let number = 2_000; !isDone; number += 1) {
        const { stored } = await insert('appone', 1, [number]);
        const { stored: edited } = await edit('apptwo', 1, (number % PER_CHAT) + 1);
        await services.messageIndex().write(
          [...stored, ...edited].map((message) => ({
            ...message,
            createdAt: new Date(message.createdAtMs).toISOString(),
          })),
        );
      }
    })();
    try {
      const child = spawn(process.execPath, command, { cwd: root, stdio: 'ignore' });
      const exited = once(child, 'exit');
      // One that nobody but the rebuild writes, of the first batch behind the place that was kept.
      const next = { index: building, id: 'appone:3:399', routing: 'appone' };
      await vi.waitFor(async () => expect((await client.exists(next)).body).toBe(true), {
        timeout: 60_000,
        interval: 10,
      });
      child.kill('SIGKILL');
      expect(await exited).toEqual([null, 'SIGKILL']);
      const { stdout } = await promisify(execFile)(process.execPath, command, { cwd: root });
      const report: { state: string; rows: number; percent: number } = JSON.parse(stdout);
      expect(report).toMatchObject({ state: 'done', percent: 100, refused: 0 });
      expect(report.rows).toBeLessThanOrEqual((await rows()).size - stopped.rows);
    } finally {
      isDone = true;
      await writing;
    }
    expect(Object.keys((await client.indices.getAlias({ name: `${prefix}messages` })).body)).toEqual([
      building,
    ]);
    await expectEqual();
  });
});
