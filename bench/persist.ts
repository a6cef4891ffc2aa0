/**
 * How fast accepted messages reach MySQL, beside the same rows inserted by the driver alone. See bench/README.md.
 *
 *   npm run bench:persist [-- --count 28000] [--chats 20]
 */
import { randomUUID } from 'node:crypto';
import { parseArgs } from 'node:util';
import { type ConsumeMessage, connect } from 'amqplib';
import { createConnection, type RowDataPacket } from 'mysql2/promise';
import { logger } from '#lib/runtime/logger.ts';
import { database, submit } from '#lib/runtime/services.ts';
import { handler as persistMessage } from '../functions/consumers/persist-message.ts';
import { handler as migrate } from '../functions/operations/migrate.ts';
import { createLambdaContext } from '../local/emulation/lambda-context.ts';
import { Failure, startServices, terminalReport } from '../local/services/index.ts';
import { bodyOf } from './conversation.ts';
import { table } from './measure.ts';
import { during } from './stack.ts';

const BATCH = 1_000;
const AT_ONCE = 250;
/** Of the application that all messages belong to. */
let token = '';

const { values } = parseArgs({
  options: {
    count: { type: 'string', default: '28000' },
    chats: { type: 'string', default: '20' },
    rounds: { type: 'string', default: '3' },
  },
});
const [count, chats, rounds] = [Number(values.count), Number(values.chats), Number(values.rounds)];

type Event = { eventSource: 'aws:rmq'; rmqMessagesByQueue: Record<string, unknown[]> };

/** One user, one application and its chats, stored. */
const prepare = async (): Promise<number> => {
  await database().write(
    "INSERT INTO users (name, email, password, created_at) VALUES ('Ada', ?, '-', NOW(3))",
    [`${randomUUID()}@example.org`],
  );
  const [user] = await database().select('SELECT MAX(id) AS id FROM users', []);
  const creatorId: number = user?.id;
  token = await submit().application({ name: 'Bench', creatorId });
  for (let chat = 0; chat < chats; chat += 1) await submit().chat({ token, creatorId });
  await database().write(
    'INSERT INTO applications (token, name, created_at, updated_at, creator_id, command_id, version) VALUES (?, ?, NOW(3), NOW(3), ?, 1, 1)',
    [token, 'Bench', creatorId],
  );
  for (let number = 1; number <= chats; number += 1)
    await database().write(
      'INSERT INTO chats (application_id, token, number, created_at, updated_at, creator_id, command_id) SELECT id, token, ?, NOW(3), NOW(3), ?, ? FROM applications',
      [number, creatorId, number],
    );
  return creatorId;
};

/** Accepts messages as the HTTP function does: they wait in Redis and in the queue. */
const accept = async (senderId: number, detail: (text: string) => void): Promise<void> => {
  let sent = 0;
  const send = async () => {
    while (sent < count) {
      sent += 1;
      if (sent % 1_000 === 0) detail(`${sent} of ${count}`);
      await submit().message({
        token,
        chatNumber: 1 + (sent % chats),
        senderId,
        senderName: 'Ada',
        body: bodyOf(sent),
        createdAtMs: Date.now(),
      });
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, send));
};

/** Takes the waiting commands out of their queue, as the events that the function is called with. */
const takeEvents = async (): Promise<Event[]> => {
  const connection = await connect(process.env.RABBITMQ_URL ?? '');
  try {
    const channel = await connection.createChannel();
    const messages: ConsumeMessage[] = [];
    await new Promise<void>((resolve, reject) => {
      channel
        .consume(
          'create-message',
          (message) => {
            if (message !== null) messages.push(message);
            if (messages.length === count) resolve();
          },
          { noAck: true },
        )
        .catch(reject);
    });
    const events: Event[] = [];
    for (let from = 0; from < messages.length; from += BATCH) {
      events.push({
        eventSource: 'aws:rmq',
        rmqMessagesByQueue: {
          'create-message::/': messages.slice(from, from + BATCH).map(({ properties, content }) => ({
            basicProperties: { headers: properties.headers, messageId: properties.messageId },
            redelivered: false,
            data: content.toString('base64'),
          })),
        },
      });
    }
    return events;
  } finally {
    await connection.close();
  }
};

const persist = async (events: readonly Event[]): Promise<number> => {
  const begunAt = performance.now();
  for (const event of events) await persistMessage(event, createLambdaContext('persistMessage'));
  return performance.now() - begunAt;
};

/** Inserts the rows that were stored into a table of the same form, by the driver alone. */
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
      'chat_id, token, chat_number, number, body, created_at, updated_at, creator_id, sender_name, command_id, version';
    const [rows] = await connection.query<RowDataPacket[]>(`SELECT ${columns} FROM messages ORDER BY id`);
    const batches: unknown[][][] = [];
    for (let from = 0; from < rows.length; from += BATCH)
      batches.push(rows.slice(from, from + BATCH).map((row) => Object.values(row)));
    const begunAt = performance.now();
    for (const batch of batches) await connection.query(`INSERT INTO raw (${columns}) VALUES ?`, [batch]);
    const tookMs = performance.now() - begunAt;
    await connection.query('DROP TABLE raw');
    return tookMs;
  } finally {
    await connection.end();
  }
};

const report = terminalReport(process.stderr);
const { MYSQL_URL, REDIS_URL, RABBITMQ_URL, OPENSEARCH_URL, ...environment } = process.env;
const stack = await startServices({
  stack: `bench-persist-${process.pid}`,
  environment,
  report,
  fresh: true,
  only: ['mysql', 'redis', 'rabbitmq'],
});
let code = 0;
try {
  Object.assign(process.env, stack.urls, { OPENSEARCH_URL: '', JWT_SECRET: stack.secret('jwt') });
  logger.setLogLevel('SILENT');
  await migrate({}, createLambdaContext('migrate'));
  const senderId = await prepare();
  const lines = [['round', 'persisted a second', 'µs each', 'raw a second', 'µs each', 'ratio']];
  for (let round = 1; round <= rounds; round += 1) {
    await database().write('DELETE FROM messages', []);
    await during(report, `accepting ${count}`, (detail) => accept(senderId, detail));
    const events = await during(report, 'taking them', () => takeEvents());
    const persistMs = await during(report, 'persisting', () => persist(events));
    const rawMs = await during(report, 'inserting by the driver alone', () => insertRaw());
    const [stored] = await database().select('SELECT COUNT(*) AS count FROM messages', []);
    if (stored?.count !== count) throw new Failure(`${stored?.count} of ${count} messages were stored.`);
    const each = (ms: number) => [
      Math.round((count * 1_000) / ms).toLocaleString('en'),
      ((ms * 1_000) / count).toFixed(1),
    ];
    lines.push([`${round}`, ...each(persistMs), ...each(rawMs), (rawMs / persistMs).toFixed(2)]);
  }
  console.log(
    `\n${count} accepted messages of ${chats} chats, in batches of ${BATCH}, by the handler in process\n`,
  );
  console.log(table(lines));
} catch (error) {
  code = 1;
  console.error(error);
} finally {
  await stack.stop();
}
process.exit(code);
