import { createConnection, type RowDataPacket } from 'mysql2/promise';
import { createChatCommand } from '#lib/contracts/commands/create-chat.ts';
import { connectOpenSearch } from '#lib/opensearch/client.ts';
import { messageIndexBody } from '#lib/opensearch/index/message-index-body.ts';
import { database } from '#lib/runtime/services/servers.ts';
import { submit } from '#lib/runtime/services/writing.ts';
import { handler as indexMessage } from '../../functions/consumers/index-message.ts';
import { handler as persistApplication } from '../../functions/consumers/persist-application.ts';
import { handler as persistChat } from '../../functions/consumers/persist-chat.ts';
import { handler as persistMessage } from '../../functions/consumers/persist-message.ts';
import { createLambdaContext } from '../../local/emulation/lambda-context.ts';
import { Failure } from '../../local/services/index.ts';
import { type Chat, createChat, sendAll } from '../conversation.ts';
import { median } from '../measure.ts';
import { type QueueEvent, takeEvents } from '../queues.ts';
import type { Row } from '../row.ts';
import type { Section } from '../section.ts';
import { during } from '../stack.ts';

const COUNT = 10_000;
const CHATS = 20;
const ROUNDS = 3;
const BATCH = 1_000;

type Handler = typeof persistMessage;

/** @returns how long the function takes for all events, and Node's processor time, in ms */
const consume = async (
  handler: Handler,
  events: readonly QueueEvent[],
): Promise<{ tookMs: number; cpuMs: number }> => {
  const cpuBefore = process.cpuUsage();
  const startedAt = performance.now();
  for (const event of events) await handler(event, createLambdaContext('bench'));
  const { user, system } = process.cpuUsage(cpuBefore);
  return { tookMs: performance.now() - startedAt, cpuMs: (user + system) / 1_000 };
};

const inBatches = <Item>(items: readonly Item[]): Item[][] =>
  Array.from({ length: Math.ceil(items.length / BATCH) }, (_, batch) =>
    items.slice(batch * BATCH, (batch + 1) * BATCH),
  );

/** One application with its chats, stored. */
const prepare = async (): Promise<Chat> => {
  const chat = await createChat();
  for (let others = 1; others < CHATS; others += 1)
    await submit()(createChatCommand, { token: chat.token, creatorId: chat.user.id });
  await consume(persistApplication, await takeEvents('create-application', 1));
  await consume(persistChat, await takeEvents('create-chat', CHATS));
  return chat;
};

/** Inserts the stored rows into a table of the same form, by the driver alone. @returns its time in ms */
const insertRaw = async (): Promise<number> => {
  const connection = await createConnection({
    uri: process.env.MYSQL_URL ?? '',
    charset: 'utf8mb4',
    timezone: 'Z',
    dateStrings: true,
  });
  try {
    await connection.query('CREATE TABLE raw LIKE messages');
    await connection.query(
      'ALTER TABLE raw ADD FOREIGN KEY (chat_id) REFERENCES chats (id), ADD FOREIGN KEY (creator_id) REFERENCES users (id)',
    );
    const columns =
      'chat_id, token, chat_number, number, body, created_at, updated_at, creator_id, sender, sender_name, command_id, version';
    const [rows] = await connection.query<RowDataPacket[]>(`SELECT ${columns} FROM messages ORDER BY id`);
    const batches = inBatches(rows.map((row) => Object.values(row)));
    const startedAt = performance.now();
    for (const batch of batches) await connection.query(`INSERT INTO raw (${columns}) VALUES ?`, [batch]);
    const tookMs = performance.now() - startedAt;
    await connection.query('DROP TABLE raw');
    return tookMs;
  } finally {
    await connection.end();
  }
};

type Hit = { _id: string; _routing: string; _version: number; _source: object };

/** Indexes the indexed documents in an index of the same mapping, by `_bulk` alone. @returns its time in ms */
const bulkRaw = async (): Promise<number> => {
  const client = connectOpenSearch(process.env.OPENSEARCH_URL ?? '');
  const index = `raw-${Date.now()}`;
  try {
    const body = messageIndexBody({ shards: 1, replicas: 0, refreshIntervalMs: 500 });
    await client.transport.request({ method: 'PUT', path: `/${index}`, body });
    await client.transport.request({ method: 'POST', path: '/messages/_refresh' });
    const hits: Hit[] = [];
    let page = await client.transport.request({
      method: 'POST',
      path: '/messages/_search',
      querystring: { scroll: '1m' },
      body: { size: BATCH, version: true, sort: ['_doc'] },
    });
    while (hits.length < COUNT) {
      const found: Hit[] = page.body.hits.hits;
      if (found.length === 0) throw new Failure(`The index has ${hits.length} of ${COUNT} messages`);
      hits.push(...found);
      page = await client.transport.request({
        method: 'POST',
        path: '/_search/scroll',
        body: { scroll: '1m', scroll_id: page.body._scroll_id },
      });
    }
    const payloads = inBatches(hits).map((batch) =>
      batch
        .map(
          ({ _id, _routing, _version, _source }) =>
            `${JSON.stringify({ index: { _index: index, _id, routing: _routing, version: _version, version_type: 'external_gte' } })}\n${JSON.stringify(_source)}\n`,
        )
        .join(''),
    );
    const startedAt = performance.now();
    for (const payload of payloads)
      await client.transport.request({ method: 'POST', path: '/_bulk', bulkBody: payload });
    const tookMs = performance.now() - startedAt;
    await client.transport.request({ method: 'DELETE', path: `/${index}` });
    return tookMs;
  } finally {
    await client.close();
  }
};

/** How fast consumers take waiting commands, against a multi-row insert and a bulk request of the same data. */
export const consumers: Section = async ({ report }) => {
  const { token, user } = await prepare();
  const times = {
    persist: [] as number[],
    persistCpu: [] as number[],
    insert: [] as number[],
    index: [] as number[],
    indexCpu: [] as number[],
    bulk: [] as number[],
  };
  for (let round = 0; round <= ROUNDS; round += 1) {
    const step = <Result>(what: string, work: () => Promise<Result>) =>
      during(report, `${what}, ${round} of ${ROUNDS}`, work);
    await database().write('DELETE FROM messages', []);
    await step('accepting', () =>
      sendAll(COUNT, (index) => ({ token, chatNumber: 1 + (index % CHATS), user, index })),
    );
    const commands = await takeEvents('create-message', COUNT);
    const persisted = await step('persisting', () => consume(persistMessage, commands));
    const insertMs = await step('inserting by the driver', insertRaw);
    const documents = await takeEvents('index-message', COUNT);
    const indexed = await step('indexing', () => consume(indexMessage, documents));
    const bulkMs = await step('indexing by _bulk alone', bulkRaw);
    // The first round warms the servers up.
    if (round === 0) continue;
    times.persist.push(persisted.tookMs);
    times.persistCpu.push(persisted.cpuMs);
    times.insert.push(insertMs);
    times.index.push(indexed.tookMs);
    times.indexCpu.push(indexed.cpuMs);
    times.bulk.push(bulkMs);
  }
  const perSecond = (of: readonly number[]) => (COUNT * 1_000) / median(of);
  const cpuRow = (name: string, cpuMs: readonly number[]): Row => ({
    name: `${name}: Node CPU for each`,
    unit: 'µs',
    ours: (median(cpuMs) * 1_000) / COUNT,
  });
  const ratio = (ours: readonly number[], peer: readonly number[]) =>
    median(ours.map((ms, round) => (peer[round] ?? Number.NaN) / ms));
  return [
    {
      name: 'persist, waiting commands',
      unit: '/s',
      ours: perSecond(times.persist),
      peer: { name: 'multi-row insert', value: perSecond(times.insert) },
      ratio: ratio(times.persist, times.insert),
      goal: { of: 'ratio', atLeast: 0.5 },
    },
    cpuRow('persist, waiting commands', times.persistCpu),
    {
      name: 'index, waiting messages',
      unit: '/s',
      ours: perSecond(times.index),
      peer: { name: '_bulk, same mapping', value: perSecond(times.bulk) },
      ratio: ratio(times.index, times.bulk),
      goal: { of: 'ratio', atLeast: 0.85 },
    },
    cpuRow('index, waiting messages', times.indexCpu),
  ];
};
