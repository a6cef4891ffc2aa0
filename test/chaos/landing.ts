import { setTimeout as delay } from 'node:timers/promises';
import { type Channel, connect } from 'amqplib';
import { Redis } from 'ioredis';
import { createConnection, type RowDataPacket } from 'mysql2/promise';
import type { Stores } from './system.ts';

/** Where a kill of the functions may fall. */
export const landings = {
  beforePublish: 'between the accept and the publish',
  beforeAcknowledgement: 'between the commit in MySQL and the acknowledgement',
  beforeIndex: 'between the commit and the index',
} as const;
export type Landing = keyof typeof landings;

const QUEUE = 'create-message';

/** Ids of all messages in the queue; they go back into it when the channel closes. */
const idsIn = async (channel: Channel): Promise<string[]> => {
  // The broker takes back what the killed consumer held when it sees that its connection has ended.
  for (let tries = 0; tries < 50 && (await channel.checkQueue(QUEUE)).consumerCount > 0; tries += 1)
    await delay(50);
  const ids: string[] = [];
  for (;;) {
    const message = await channel.get(QUEUE);
    if (message === false) return ids;
    ids.push(String(message.properties.messageId));
  }
};

/**
 * Finds half-finished work after a kill, while no function runs. Kills at random moments prove something only if some of
 * them fall between two steps.
 */
export const findLandings = async ({ keys, ...urls }: Stores): Promise<Landing[]> => {
  const redis = new Redis(urls.REDIS_URL, { maxRetriesPerRequest: 3 });
  redis.on('error', () => undefined);
  const [mysql, rabbitmq] = await Promise.all([
    createConnection({ uri: urls.MYSQL_URL, connectTimeout: 3_000 }),
    connect(urls.RABBITMQ_URL, { timeout: 3_000 }),
  ]);
  mysql.on('error', () => undefined);
  rabbitmq.on('error', () => undefined);
  try {
    const queued = new Set(await idsIn(await rabbitmq.createChannel()));
    const accepted = (await redis.xrange(keys.outbox(QUEUE), '-', '+')).map(([id]) => id.split('-')[0] ?? '');
    const ids = [...new Set([...queued, ...accepted])];
    const [rows] =
      ids.length === 0
        ? [[]]
        : await mysql.query<RowDataPacket[]>('SELECT command_id FROM messages WHERE command_id IN (?)', [
            ids,
          ]);
    const committed = new Set(rows.map((row) => String(row.command_id)));
    const found: Landing[] = [];
    if (accepted.some((id) => !queued.has(id) && !committed.has(id))) found.push('beforePublish');
    if ([...queued].some((id) => committed.has(id))) found.push('beforeAcknowledgement');
    if ((await redis.zcard(keys.indexOutbox)) > 0) found.push('beforeIndex');
    return found;
  } finally {
    redis.disconnect();
    mysql.destroy();
    await rabbitmq.close().catch(() => undefined);
  }
};
