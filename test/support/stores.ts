import { randomUUID } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import type { Redis } from 'ioredis';
import { createConnection } from 'mysql2/promise';
import { createHandle } from '#lib/auth/handles.ts';
import { NUMBER_STEP, numberUpTo } from '#lib/domain/change.ts';
import { createApplications } from '#lib/mysql/applications.ts';
import { createChanges } from '#lib/mysql/changes.ts';
import { createChats } from '#lib/mysql/chats.ts';
import { type Database, openDatabase } from '#lib/mysql/connection/database.ts';
import { createMessages } from '#lib/mysql/messages.ts';
import { createMigrations, type Migration } from '#lib/mysql/migrations.ts';
import { createRecoveryState } from '#lib/mysql/progress.ts';
import { createReadMarkers } from '#lib/mysql/read-markers.ts';
import { createUsers } from '#lib/mysql/users.ts';
import { createPendingChanges } from '#lib/redis/changes/pending-changes.ts';
import { createSettles } from '#lib/redis/commands/all.ts';
import { createOutbox } from '#lib/redis/commands/outbox.ts';
import { createRedisClient, type RedisClient } from '#lib/redis/connection/client.ts';
import { createCounters } from '#lib/redis/gate/counters.ts';
import { createGate, type Gate } from '#lib/redis/gate/gate.ts';
import { createKeys } from '#lib/redis/script/keys.ts';
import { createDirectory } from '#lib/redis/window/directory.ts';
import { createMarkers } from '#lib/redis/window/read-markers.ts';
import { createRecentMessages } from '#lib/redis/window/recent-messages.ts';
import { createSettling } from '#lib/writing/settling.ts';
import { acceptingOn } from './accepting.ts';

const ignore = () => undefined;

export const readMigrations = async (): Promise<Migration[]> => {
  const folder = new URL('../../migrations/', import.meta.url);
  const names = (await readdir(folder)).filter((name) => name.endsWith('.sql'));
  return Promise.all(
    names.map(async (name) => ({ name, sql: await readFile(new URL(name, folder), 'utf8') })),
  );
};

/** An empty database beside the one of `url`; `remove` drops it. */
export const createOwnDatabase = async (url: string, name: string) => {
  const own = new URL(url);
  own.pathname = `${own.pathname}_${name}`;
  const statement = async (sql: string) => {
    const connection = await createConnection(url);
    await connection.query(sql).finally(() => connection.end());
  };
  const identifier = `\`${own.pathname.slice(1)}\``;
  await statement(`DROP DATABASE IF EXISTS ${identifier}`);
  await statement(`CREATE DATABASE ${identifier} CHARACTER SET utf8mb4`);
  return { url: own.href, remove: () => statement(`DROP DATABASE IF EXISTS ${identifier}`) };
};

let epochs = 0;

/** Opens the gate like a recovery that found no loss; with a higher `witness`, like one that found a loss. */
export const openGateOf = async (gate: Gate, witness = 0): Promise<void> => {
  const attempt = await gate.attempt();
  epochs += 1;
  if ((await attempt.begin()) !== 'begun') return;
  const { clock, late, now } = await attempt.readClocks();
  const start = numberUpTo(Math.max(clock, late, now, witness) + NUMBER_STEP);
  await attempt.open(epochs, { witness, found: clock, start });
};

/** A connection of the test's own to the server that the client writes to; it connects again after a restart. */
export const openDirect = async (client: RedisClient): Promise<Redis> => {
  const { redis } = await client.connection();
  const direct = redis.duplicate({
    lazyConnect: false,
    enableOfflineQueue: true,
    maxRetriesPerRequest: null,
    retryStrategy: () => 50,
    reconnectOnError: null,
  });
  direct.on('error', ignore);
  return direct;
};

/** A migrated database and a part of Redis of a test file's own, with the gate open, and every adapter on them. */
export const openStores = async (
  urls: { MYSQL_URL: string; REDIS_URL: string },
  name: string,
  {
    timeoutMs = 10_000,
    keyPrefix = '',
    through = (database) => database,
  }: { timeoutMs?: number; keyPrefix?: string; through?: (database: Database) => Database } = {},
) => {
  const own = await createOwnDatabase(urls.MYSQL_URL, name);
  const database = openDatabase(own.url, { poolSize: 4, timeoutMs, onError: ignore });
  await createMigrations(database).apply(await readMigrations());
  const keys = createKeys(`${keyPrefix}${name}-${randomUUID()}:`);
  const client = createRedisClient(urls.REDIS_URL, { timeoutMs, keyPrefix: keys.prefix, onError: ignore });
  const redis = await openDirect(client);
  const gate = createGate({ client, keys });
  await openGateOf(gate);
  const seen = through(database);
  return {
    ...own,
    database,
    client,
    /** For the test's own queries. */
    redis,
    keys,
    counters: createCounters({ client, keys }),
    gate,
    accept: acceptingOn({ client, keys }),
    directory: createDirectory({ client, keys }),
    outbox: createOutbox({ client, keys }),
    settles: createSettling({
      settles: createSettles({ client, keys }),
      changes: createChanges(seen),
      pendingChanges: createPendingChanges({ client, keys }),
    }),
    changes: createChanges(seen),
    recentMessages: createRecentMessages({ client, keys }),
    markers: createMarkers({ client, keys }),
    readMarkers: createReadMarkers(seen),
    users: createUsers(seen, createHandle),
    applications: createApplications(seen),
    chats: createChats(seen),
    messages: createMessages(seen),
    recoveryState: createRecoveryState(seen),
    /** @returns the ids of users with these names */
    addUsers: async (...names: string[]): Promise<number[]> => {
      for (const user of names) {
        await database.write(
          'INSERT INTO users (name, email, handle, password, created_at) VALUES (?, ?, ?, ?, NOW(3))',
          [user, `${user}@example.org`, createHandle(), '-'],
        );
      }
      const rows = await database.select('SELECT id, name FROM users', []);
      return names.map((user) => rows.find((row) => row.name === user)?.id ?? 0);
    },
    close: async () => {
      await database.close();
      client.close();
      redis.disconnect();
      await own.remove();
    },
  };
};

export type Stores = Awaited<ReturnType<typeof openStores>>;
