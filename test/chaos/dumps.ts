import { readFile } from 'node:fs/promises';
import { connect } from 'amqplib';
import { Redis } from 'ioredis';
import { createConnection, type RowDataPacket } from 'mysql2/promise';
import { queueNames } from '#lib/contracts/commands/all.ts';
import { retryQueue } from '#lib/contracts/queues.ts';
import type { Stores } from './system.ts';

/** Takes one text of a store, such as a row or a log, and its place. */
type Take = (place: string, text: string) => void;

const dumpMysql = async (url: string, take: Take): Promise<void> => {
  const connection = await createConnection({ uri: url, connectTimeout: 3_000 });
  try {
    const [tables] = await connection.query<RowDataPacket[]>('SHOW TABLES');
    for (const table of tables.flatMap((row): string[] => Object.values(row))) {
      const [rows] = await connection.query<RowDataPacket[]>('SELECT * FROM ??', [table]);
      for (const row of rows) take(`MySQL, ${table}`, JSON.stringify(row));
    }
  } finally {
    connection.destroy();
  }
};

const readKey = async (redis: Redis, key: string): Promise<unknown> => {
  switch (await redis.type(key)) {
    case 'string':
      return redis.get(key);
    case 'hash':
      return redis.hgetall(key);
    case 'set':
      return redis.smembers(key);
    case 'zset':
      return redis.zrange(key, 0, '-1');
    case 'list':
      return redis.lrange(key, 0, -1);
    case 'stream':
      return redis.xrange(key, '-', '+');
    default:
      return undefined;
  }
};

const dumpRedis = async (url: string, take: Take): Promise<void> => {
  const redis = new Redis(url, { maxRetriesPerRequest: 1 });
  redis.on('error', () => undefined);
  try {
    for await (const keys of redis.scanStream({ count: 1_000 })) {
      for (const key of keys) take(`Redis, ${key}`, `${key} ${JSON.stringify(await readKey(redis, key))}`);
    }
  } finally {
    redis.disconnect();
  }
};

type Page = { _scroll_id: string; hits: { hits: { _index: string; _source: unknown }[] } };

const dumpIndex = async (url: string, take: Take): Promise<void> => {
  const call = async (path: string, body?: object): Promise<Page> => {
    const response = await fetch(`${url}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    if (!response.ok) throw new Error(`OpenSearch answered ${response.status}`);
    return (await response.json()) as Page;
  };
  await call('/_refresh');
  let page = await call('/*/_search?scroll=1m', { size: 5_000, query: { match_all: {} } });
  while (page.hits.hits.length > 0) {
    for (const { _index, _source } of page.hits.hits) take(`OpenSearch, ${_index}`, JSON.stringify(_source));
    page = await call('/_search/scroll', { scroll: '1m', scroll_id: page._scroll_id });
  }
};

/** All queues but those of dead letters. The messages stay there, in another order. */
const dumpQueues = async (url: string, take: Take): Promise<void> => {
  const connection = await connect(url, { timeout: 3_000 });
  connection.on('error', () => undefined);
  try {
    const channel = await connection.createChannel();
    for (const queue of queueNames.flatMap((name) => [name, retryQueue(name)])) {
      for (;;) {
        const message = await channel.get(queue);
        if (message === false) break;
        take(`RabbitMQ, ${queue}`, String(message.content));
      }
    }
  } finally {
    // The broker puts messages without an acknowledgement back.
    await connection.close().catch(() => undefined);
  }
};

const withMysql = async <Result>(
  url: string,
  work: (run: (sql: string) => Promise<RowDataPacket[]>) => Promise<Result>,
): Promise<Result> => {
  const connection = await createConnection({ uri: url, connectTimeout: 3_000 });
  try {
    return await work(async (sql) => (await connection.query<RowDataPacket[]>(sql))[0]);
  } finally {
    connection.destroy();
  }
};

/** Puts the beginnings of unfinished erasures back by an hour: the clock of MySQL counts for them. */
export const putErasuresBack = (url: string): Promise<RowDataPacket[]> =>
  withMysql(url, (run) =>
    run('UPDATE users SET erased_at = erased_at - INTERVAL 1 HOUR WHERE erasing = TRUE'),
  );

/** @returns rows of MySQL that `eraseDeleted` must have removed or finished */
export const findRemains = (url: string): Promise<string[]> =>
  withMysql(url, async (run) => {
    const messages = await run(
      'SELECT m.token, m.chat_number, m.number FROM chats c JOIN messages m ON m.chat_id = c.id WHERE c.deleted_at IS NOT NULL',
    );
    const accounts = await run('SELECT id FROM users WHERE erasing = TRUE');
    return [
      ...messages.map(
        (row) => `message ${row.token}/${row.chat_number}/${row.number} of a deleted chat is left`,
      ),
      ...accounts.map(({ id }) => `the erasure of user ${id} is not finished`),
    ];
  });

/** Reads everything that the stores and the log hold. */
export const dumpStores = async (stores: Stores, logFile: string, take: Take): Promise<void> => {
  await dumpMysql(stores.MYSQL_URL, take);
  await dumpRedis(stores.REDIS_URL, take);
  if (stores.OPENSEARCH_URL !== '') await dumpIndex(stores.OPENSEARCH_URL, take);
  await dumpQueues(stores.RABBITMQ_URL, take);
  take('the log', await readFile(logFile, 'utf8'));
};
