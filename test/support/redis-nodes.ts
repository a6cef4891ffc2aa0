import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { makeFolder, StackFolder, writePrivate } from '../../local/services/folders.ts';
import { installPrograms } from '../../local/services/install.ts';
import { findProgram, ProcessRecord } from '../../local/services/processes.ts';
import type { Place, Program } from '../../local/services/program.ts';
import { silentReport } from '../../local/services/report.ts';
import { ServerProcess } from '../../local/services/server-process.ts';

const certificates = join(import.meta.dirname, 'certificates');
/** The authority that signed the servers' certificates, as PEM. */
export const authorityFile = join(certificates, 'authority.pem');
const password = randomBytes(16).toString('base64url');
const slotCount = 16_384;

/** Asks until nothing is thrown; after the deadline the last error is the caller's. */
const until = async <Result>(ask: () => Promise<Result>, timeoutMs = 20_000): Promise<Result> => {
  for (const deadline = Date.now() + timeoutMs; ; await delay(50)) {
    try {
      return await ask();
    } catch (error) {
      if (Date.now() > deadline) throw error;
    }
  }
};

type Mode = 'plain' | 'clustered';

const configuration = (place: Place, mode: Mode) => `\
bind 127.0.0.1
port ${place.port('redis')}
tls-port ${place.port('tls')}
tls-cert-file "${join(place.folder, 'server.pem')}"
tls-key-file "${join(place.folder, 'server.key')}"
tls-ca-cert-file "${join(place.folder, 'authority.pem')}"
tls-auth-clients no
requirepass ${password}
masterauth ${password}
dir "${place.dataFolder}"
save ""
appendonly yes
appendfsync always
repl-diskless-sync-delay 0
shutdown-timeout 0
${
  mode === 'plain'
    ? ''
    : `cluster-enabled yes
cluster-port ${place.port('bus')}
cluster-node-timeout 2000
tls-cluster yes
tls-replication yes`
}
`;

const findServer = async (): Promise<string> => {
  const find = () => findProgram('redis-server', 'valkey-server');
  if (find() === undefined) await installPrograms(['redis'], silentReport, AbortSignal.timeout(120_000));
  const found = find();
  if (found === undefined) throw new Error('There is no redis-server');
  return found;
};

const programOf = (server: string, mode: Mode): Program => ({
  name: 'redis',
  users: ['redis', 'valkey', 'nobody'],
  ports: ['redis', 'tls', 'bus'],
  prepare: async (place) => {
    makeFolder(place.dataFolder, place.user);
    for (const file of ['authority.pem', 'server.pem', 'server.key']) {
      writePrivate(join(place.folder, file), readFileSync(join(certificates, file), 'utf8'), place.user);
    }
    writePrivate(join(place.folder, 'redis.conf'), configuration(place, mode), place.user);
  },
  command: (place) => ({ file: server, args: [join(place.folder, 'redis.conf')], cwd: place.folder }),
  url: (place) => `redis://:${password}@127.0.0.1:${place.port('redis')}`,
});

/** One server, and a connection for the test's own commands. */
export type RedisServer = {
  process: ServerProcess;
  url: string;
  /** The same server over TLS, with a certificate of `authorityFile`. */
  tlsUrl: string;
  /** To exactly this server; it connects again after a restart. */
  redis: Redis;
  stop: () => Promise<void>;
};

const startServer = async (name: string, mode: Mode): Promise<RedisServer> => {
  const folder = new StackFolder(`test-${name}-${process.pid}`);
  const server = await ServerProcess.create(
    programOf(await findServer(), mode),
    folder,
    new ProcessRecord(folder.path),
  );
  await server.start();
  const redis = new Redis(server.url, { maxRetriesPerRequest: null, retryStrategy: () => 50 });
  redis.on('error', () => undefined);
  return {
    process: server,
    url: server.url,
    tlsUrl: server.url.replace('redis:', 'rediss:').replace(/\d+$/, String(folder.port('tls'))),
    redis,
    stop: async () => {
      redis.disconnect();
      await server.stop();
      server.releasePorts();
      folder.remove();
      folder.unlock();
    },
  };
};

const isPrimary = async ({ redis }: RedisServer) => (await redis.info('replication')).includes('role:master');

/** A primary and a replica that has all its data. */
export type RedisPair = {
  servers: readonly [RedisServer, RedisServer];
  /** The server that accepts writes now, and the other one. */
  roles: () => Promise<{ primary: RedisServer; replica: RedisServer }>;
  stop: () => Promise<void>;
};

const untilReplicated = (replica: RedisServer) =>
  until(async () => {
    const info = await replica.redis.info('replication');
    if (!info.includes('role:slave') || !info.includes('master_link_status:up')) throw new Error(info);
  });

/** Until the replica holds all that the primary has acknowledged. Redis acknowledges a write before it copies it. */
export const untilCopied = async (primary: RedisServer, replica: RedisServer): Promise<void> => {
  const offset = async ({ redis }: RedisServer, name: string): Promise<number> => {
    const [, digits = ''] = (await redis.info('replication')).match(new RegExp(`^${name}:(\\d+)`, 'm')) ?? [];
    return Number.parseInt(digits, 10);
  };
  const acknowledged = await offset(primary, 'master_repl_offset');
  await until(async () => {
    const copied = await offset(replica, 'slave_repl_offset');
    if (!(copied >= acknowledged)) throw new Error(`The replica has ${copied} of ${acknowledged} bytes`);
  });
};

/** Waits until every server knows the primary of the slots, and its replica. */
export const untilClustered = async (servers: readonly RedisServer[]): Promise<void> => {
  for (const { redis } of servers) {
    await until(async () => {
      const state = String(await redis.cluster('INFO'));
      if (!state.includes('cluster_state:ok')) throw new Error(state);
      const slots = await redis.cluster('SLOTS');
      if (slots[0]?.length !== 4) throw new Error('A server does not know the replica');
    });
  }
};

const pairOf = (servers: readonly [RedisServer, RedisServer]): RedisPair => ({
  servers,
  roles: async () => {
    const [first, second] = servers;
    return (await isPrimary(first))
      ? { primary: first, replica: second }
      : { primary: second, replica: first };
  },
  stop: async () => {
    await Promise.all(servers.map(({ stop }) => stop()));
  },
});

const startBoth = async (name: string, mode: Mode): Promise<readonly [RedisServer, RedisServer]> => {
  const started = await Promise.allSettled([startServer(`${name}-a`, mode), startServer(`${name}-b`, mode)]);
  const servers = started.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  const [first, second] = servers;
  if (first !== undefined && second !== undefined) return [first, second];
  await Promise.all(servers.map(({ stop }) => stop()));
  throw started.find((one) => one.status === 'rejected')?.reason;
};

/** Two plain servers; the second replicates the first. */
export const startRedisReplication = async (name: string): Promise<RedisPair> => {
  const servers = await startBoth(name, 'plain');
  const [first, second] = servers;
  const { port } = new URL(first.url);
  await second.redis.replicaof('127.0.0.1', Number(port));
  await untilReplicated(second);
  return pairOf(servers);
};

/** A cluster as MemoryDB has it: one primary with all slots, and one replica. */
export const startRedisCluster = async (name: string): Promise<RedisPair> => {
  const servers = await startBoth(name, 'clustered');
  const [first, second] = servers;
  await first.redis.cluster('ADDSLOTSRANGE', 0, slotCount - 1);
  const bus = await first.redis.config('GET', 'cluster-port');
  await second.redis.call(
    'CLUSTER',
    'MEET',
    '127.0.0.1',
    new URL(first.url).port,
    String(Array.isArray(bus) ? bus[1] : ''),
  );
  const id = String(await first.redis.cluster('MYID'));
  await until(() => second.redis.cluster('REPLICATE', id));
  await untilReplicated(second);
  await untilClustered(servers);
  return pairOf(servers);
};

/** Until a cluster has one primary, and a replica with all data that the primary has acknowledged. */
export const untilRedundant = async (pair: RedisPair): Promise<void> => {
  const { primary, replica } = await until(async () => {
    const roles = await pair.roles();
    // A server that was killed as a primary believes that it is one until it hears of the other.
    if (await isPrimary(roles.replica)) throw new Error('Both servers are primaries');
    return roles;
  });
  await untilReplicated(replica);
  await untilClustered(pair.servers);
  await untilCopied(primary, replica);
};

/** Makes the replica of a cluster the primary, without loss. @returns the new primary */
export const promoteReplica = async (pair: RedisPair): Promise<RedisServer> => {
  // A primary ignores the request of a replica that it does not know yet.
  await untilClustered(pair.servers);
  const { replica } = await pair.roles();
  const promoted = async () => {
    if ((await pair.roles()).primary !== replica) throw new Error('The replica was not promoted');
  };
  // The servers silently abandon a failover that takes longer than 5 s.
  await until(async () => {
    await replica.redis.cluster('FAILOVER');
    await until(promoted, 6_000);
  }, 30_000);
  return replica;
};

/** How long writers wait at most for the last copy before a kill. */
const HOLD_MS = 60_000;

/** Makes the replica of a killed primary the primary. @returns it */
const takeOver = async (replica: RedisServer): Promise<RedisServer> => {
  // Nobody else votes in a cluster of two.
  await replica.redis.cluster('FAILOVER', 'TAKEOVER');
  await until(async () => {
    if (!(await isPrimary(replica))) throw new Error('The replica did not take over');
  });
  return replica;
};

/**
 * Kills the primary of a cluster and makes its replica the primary. Writers are held back before the kill until the
 * replica has all data, because Redis acknowledges a write before it copies it.
 * @returns the new primary
 */
export const killPrimary = async (pair: RedisPair): Promise<RedisServer> => {
  await untilClustered(pair.servers);
  const { primary, replica } = await pair.roles();
  await primary.redis.call('CLIENT', 'PAUSE', HOLD_MS, 'WRITE');
  await untilCopied(primary, replica);
  primary.process.kill('SIGKILL');
  return takeOver(replica);
};

/**
 * Kills the primary of a cluster and makes its replica the primary, which lacks the acknowledged writes of `behindMs`.
 * @returns the new primary
 */
export const killPrimaryAhead = async (pair: RedisPair, behindMs: number): Promise<RedisServer> => {
  await untilClustered(pair.servers);
  const { primary, replica } = await pair.roles();
  replica.process.pause();
  try {
    // A frozen replica would still receive what its socket holds.
    await primary.redis.client('KILL', 'TYPE', 'REPLICA');
    await delay(behindMs);
    primary.process.kill('SIGKILL');
  } finally {
    replica.process.resume();
  }
  return takeOver(replica);
};
