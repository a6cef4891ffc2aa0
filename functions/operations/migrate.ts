import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';
import { describeError } from '#lib/domain/error-facts.ts';
import type { Job } from '#lib/domain/job.ts';
import { asCustomResource } from '#lib/job/custom-resource.ts';
import { jobHandler } from '#lib/job/job-handler.ts';
import type { Migration, Migrations } from '#lib/mysql/migrations.ts';
import type { Users } from '#lib/mysql/users.ts';
import type { MessageIndex } from '#lib/opensearch/index/message-index.ts';
import type { Publisher } from '#lib/rabbitmq/publisher.ts';
import type { FirstGate } from '#lib/recovery/first-gate.ts';
import type { RedisClient } from '#lib/redis/connection/client.ts';
import { migrations, users } from '#lib/runtime/services/mysql.ts';
import { messageIndex } from '#lib/runtime/services/opensearch.ts';
import { publisher } from '#lib/runtime/services/rabbitmq.ts';
import { firstGate } from '#lib/runtime/services/recovery.ts';
import { redisClient } from '#lib/runtime/services/servers.ts';

type Uses = {
  migrations: Migrations;
  users: Pick<Users, 'giveNextHandles'>;
  publisher: Pick<Publisher, 'declare'>;
  messageIndex: () => Pick<MessageIndex, 'prepare'>;
  firstGate: FirstGate;
  redisClient: Pick<RedisClient, 'inspect'>;
};

/**
 * Checks the Redis configuration before the first write. @throws for a clustered Redis without a hash-tagged prefix, and
 * for one that shows no `run_id`
 */
const inspectRedis = async (log: Job['log'], redisClient: Pick<RedisClient, 'inspect'>) => {
  if ((await redisClient.inspect()) === 'no answer') {
    log('Redis does not answer, and was not checked', { code: 'redis-not-checked' });
  }
};

/** Relative to the working directory of a function, which contains its bundle and these files. */
const readMigrations = async (folder: string): Promise<Migration[]> => {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.sql'));
  return Promise.all(names.map(async (name) => ({ name, sql: await readFile(join(folder, name), 'utf8') })));
};

/**
 * Migrates MySQL, the queues and the index to this version. May run at any time, twice at once, and again
 * after a failure. On new tables no number can exist yet, so it also opens the gate.
 */
export const migrate = async (
  { log }: Pick<Job, 'log'>,
  { migrations, users, publisher, messageIndex, firstGate, redisClient }: Uses,
) => {
  await inspectRedis(log, redisClient);
  const applied = await migrations.apply(await readMigrations(join(process.cwd(), 'migrations')));
  while ((await users.giveNextHandles()) > 0);
  const kept = await publisher.declare();
  if (kept.length > 0)
    log('These queues exist with the arguments of an older version; they are used as they are', {
      code: 'queues-outdated',
      kept,
    });
  if (applied.includes('0001_create_users.sql')) await firstGate.open();
  let search: 'ready' | 'not ready' | 'wants a reindex' = 'ready';
  try {
    if ((await messageIndex().prepare()).outdated) search = 'wants a reindex';
  } catch (error) {
    // All other parts work without search, and its queue keeps the messages.
    search = 'not ready';
    log('The search index could not be prepared; run migrate again when OpenSearch answers', {
      code: 'index-not-prepared',
      reason: describeError(error instanceof Error ? (error.cause ?? error) : error),
    });
  }
  return { applied, search };
};

export const handler = asCustomResource(
  jobHandler(z.object({}), migrate, {
    migrations,
    users,
    publisher,
    messageIndex: () => messageIndex,
    firstGate,
    redisClient,
  }),
);
