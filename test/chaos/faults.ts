import { randomUUID } from 'node:crypto';
import { rmSync } from 'node:fs';
import { connect } from 'amqplib';
import { Redis } from 'ioredis';
import { queueNames } from '#lib/contracts/commands/all.ts';
import type { ServiceName } from '../../local/services/index.ts';
import {
  killPrimary,
  killPrimaryAhead,
  promoteReplica,
  type RedisPair,
  type RedisServer,
  untilRedundant,
} from '../support/redis-nodes.ts';
import { type Findings, poisonMark } from './audit.ts';
import { findLandings, type Landing } from './landing.ts';
import type { Pace } from './pace.ts';
import type { Random } from './random.ts';
import type { RedisKind, System } from './system.ts';

type Attack = {
  system: System;
  pace: Pace;
  random: Random;
  sleep: (ms: number) => Promise<unknown>;
  /** From now on readers may miss accepted writes. */
  redisGoes: () => void;
  /** Whether a client's write is accepted now. */
  takesWrites: () => Promise<boolean>;
  /** Accepted messages that MySQL does not have yet, of a chat that nobody deletes. */
  pending: () => Promise<Copy[]>;
  /** Reports the number of published commands that can never succeed. */
  expectDead: (count: number) => void;
  /** Publishes forged messages of each kind, and expects the dead letters that they must become. */
  forge: () => Promise<void>;
  found: (kind: keyof Findings, what: string) => void;
  /** Reports the moment in which a kill of the functions fell. */
  fell: (where: Landing) => void;
};

export type Fault = {
  name: string;
  /** In words, for the table. */
  what: string;
  /** Servers it needs. */
  needs?: readonly ServiceName[];
  /** The Redis of the system that it attacks; `single` if absent. */
  redis?: RedisKind;
  /** Causes no fault. The long run shows it for comparison, and no test needs it. */
  isBaseline?: boolean;
  /** Redis loses the idempotency keys of requests during the fault. */
  losesKeys?: boolean;
  /** Causes and ends the fault while clients write. Settles when the servers run again. */
  inject: (attack: Attack) => Promise<void>;
};

const withRedis = async <Result>(
  system: System,
  work: (redis: Redis) => Promise<Result>,
): Promise<Result> => {
  const redis = new Redis((await system.stores()).REDIS_URL, { maxRetriesPerRequest: 3 });
  redis.on('error', () => undefined);
  try {
    return await work(redis);
  } finally {
    redis.disconnect();
  }
};

export type Copy = { queue: string; content: string; messageId: string };

export const publish = async (system: System, copies: readonly Copy[]): Promise<void> => {
  const connection = await connect(system.service('rabbitmq').url);
  connection.on('error', () => undefined);
  const channel = await connection.createConfirmChannel();
  for (const { queue, content, messageId } of copies)
    channel.sendToQueue(queue, Buffer.from(content), { persistent: true, messageId });
  await channel.waitForConfirms();
  await connection.close();
};

/** Accepted commands that MySQL does not have yet. */
export const readOutboxes = (system: System): Promise<Copy[]> =>
  withRedis(system, async (redis) => {
    const copies: Copy[] = [];
    for (const queue of queueNames.filter((name) => name !== 'index-message')) {
      for (const [id, fields] of await redis.xrange(system.keys.outbox(queue), '-', '+'))
        copies.push({ queue, content: fields[1] ?? '', messageId: id.split('-')[0] ?? '' });
    }
    return copies;
  });

const shuffle = <Item>(items: readonly Item[], random: Random): Item[] =>
  items
    .map((item) => ({ item, at: random.next() }))
    .sort((a, b) => a.at - b.at)
    .map(({ item }) => item);

/** kill -9, and the same data again after a moment. */
const kill = (name: ServiceName): Fault => ({
  name: `kill-${name}`,
  what: `kill -9 of ${name}, started again`,
  needs: [name],
  inject: async ({ system, sleep, redisGoes }) => {
    const server = system.service(name);
    if (name === 'redis') redisGoes();
    server.kill('SIGKILL');
    await sleep(500);
    await server.start();
  },
});

const pause = (name: ServiceName): Fault => ({
  name: `pause-${name}`,
  what: `SIGSTOP of ${name}, SIGCONT after longer than it is waited for`,
  needs: [name],
  inject: async ({ system, sleep, pace, redisGoes }) => {
    const server = system.service(name);
    if (name === 'redis') redisGoes();
    server.pause();
    try {
      await sleep(pace.pauseMs);
    } finally {
      server.resume();
    }
  },
});

/** A function that waited for a vanished connection connects again within its driver's time-out. */
const CONNECTED_WITHIN_MS = 30_000;

/** No reset and no answer, as when a NAT forgets its connections; new ones work. */
const swallow = (name: ServiceName): Fault => ({
  name: `swallow-${name}`,
  what: `connections to ${name} vanish without a reset, twice`,
  needs: [name],
  inject: async ({ system, sleep, pace, redisGoes, found }) => {
    if (name === 'redis') redisGoes();
    for (let i = 0; i < 2; i += 1) {
      const deadline = performance.now() + CONNECTED_WITHIN_MS;
      while ((await system.swallow(name)) === 0) {
        if (performance.now() > deadline) return found('stuck', `No function is connected to ${name}`);
        await sleep(50);
      }
      await sleep(pace.outageMs / 2);
    }
  },
});

/** Commands pile up behind a MySQL that does not answer, while `work` is done. */
const whileMysqlHangs = async (
  { system, sleep }: Pick<Attack, 'system' | 'sleep'>,
  pileUpMs: number,
  work: () => Promise<void>,
): Promise<void> => {
  const mysql = system.service('mysql');
  mysql.pause();
  try {
    await sleep(pileUpMs);
    await work();
  } finally {
    mysql.resume();
  }
};

/** The age of a replica that lags. */
const BEHIND_MS = 500;
/** The new primary alone must accept writes within this time. */
const TAKEN_OVER_WITHIN_MS = 30_000;

/** The replica takes over. Later the old primary returns as its replica, so the next round exchanges the roles again. */
const failover = (
  name: string,
  what: string,
  takeOver: (cluster: RedisPair) => Promise<RedisServer>,
): Fault => ({
  name,
  what,
  redis: 'clustered',
  inject: async ({ system, sleep, pace, random, redisGoes, takesWrites, found }) => {
    const { cluster } = system;
    const { primary } = await cluster.roles();
    redisGoes();
    const change = async () => {
      await takeOver(cluster);
    };
    // In half of the rounds, commands are pending.
    if (random.next() < 0.5) await whileMysqlHangs({ system, sleep }, 1_000, change);
    else await change();
    const deadline = performance.now() + TAKEN_OVER_WITHIN_MS;
    await sleep(pace.outageMs);
    while (!(await takesWrites())) {
      if (performance.now() > deadline) {
        found('stuck', 'writes are not taken while the replica is the only server');
        break;
      }
      await sleep(250);
    }
    await primary.process.start();
    await untilRedundant(cluster);
  },
});

export const faults: readonly Fault[] = [
  {
    name: 'none',
    what: 'nothing (what the others are compared with)',
    isBaseline: true,
    inject: ({ sleep, pace }) => sleep(pace.outageMs).then(() => undefined),
  },
  kill('mysql'),
  kill('redis'),
  kill('rabbitmq'),
  kill('opensearch'),
  {
    name: 'kill-functions',
    what: 'kill -9 of the functions at any moment, several times',
    inject: async ({ system, sleep, pace, random, fell }) => {
      for (let i = 0; i < pace.kills; i += 1) {
        // Alternates between kills during requests and kills while consumers process the backlog.
        if (i % 2 === 1) {
          await whileMysqlHangs({ system, sleep }, 1_000, async () => undefined);
          await sleep(random.below(500));
        } else await sleep(random.below(1_000));
        await system.killApi();
        for (const landing of await findLandings(await system.stores())) fell(landing);
        await system.startApi();
        await sleep(500);
      }
    },
  },
  pause('mysql'),
  pause('redis'),
  pause('rabbitmq'),
  pause('opensearch'),
  {
    name: 'pause-functions',
    what: 'SIGSTOP of the functions, SIGCONT after longer than they may run',
    inject: async ({ system, sleep, pace }) => {
      const { api } = system;
      api.signal('SIGSTOP');
      try {
        await sleep(pace.pauseMs);
      } finally {
        api.signal('SIGCONT');
      }
    },
  },
  {
    name: 'wipe-rabbitmq',
    what: 'disk of RabbitMQ wiped, with commands queued',
    inject: ({ system, sleep, ...attack }) =>
      whileMysqlHangs({ system, sleep }, Math.min(attack.pace.outageMs, 4_000) / 2, async () => {
        const server = system.service('rabbitmq');
        server.kill('SIGKILL');
        await server.stop();
        await server.wipe();
        await server.start();
      }),
  },
  {
    name: 'wipe-redis',
    what: 'disk of Redis wiped, with commands on the way',
    losesKeys: true,
    inject: ({ system, sleep, redisGoes, pace }) =>
      whileMysqlHangs({ system, sleep }, Math.min(pace.outageMs, 4_000) / 2, async () => {
        const server = system.service('redis');
        redisGoes();
        server.kill('SIGKILL');
        await server.stop();
        await server.wipe();
        await server.start();
      }),
  },
  {
    name: 'wipe-opensearch',
    what: 'disk of OpenSearch wiped; `migrate` and `reindex` rebuild the index',
    needs: ['opensearch'],
    inject: async ({ system }) => {
      const server = system.service('opensearch');
      server.kill('SIGKILL');
      await server.stop();
      await server.wipe();
      await server.start();
      await system.operate('operations/migrate');
      await system.operate('operations/reindex', { action: 'continue' });
    },
  },
  {
    name: 'flush-redis',
    what: 'FLUSHALL on Redis, with commands on the way',
    losesKeys: true,
    inject: ({ system, sleep, redisGoes, pace }) =>
      whileMysqlHangs({ system, sleep }, Math.min(pace.outageMs, 4_000) / 2, async () => {
        redisGoes();
        await withRedis(system, (redis) => redis.flushall());
      }),
  },
  {
    name: 'rollback-redis',
    what: 'Redis rolled back to an older copy of its disk',
    losesKeys: true,
    inject: async ({ system, sleep, redisGoes, random, pace }) => {
      const server = system.service('redis');
      const folder = server.dataFolder;
      if (folder === undefined) throw new Error('Redis has no data folder of ours.');
      const copy = `${folder}.copy`;
      // Redis will lose the keys of requests after the copy.
      redisGoes();
      await system.copyOwned(folder, copy);
      const rollBack = async () => {
        server.kill('SIGKILL');
        await server.stop();
        await server.wipe();
        await system.copyOwned(copy, folder);
        rmSync(copy, { recursive: true, force: true });
        await server.start();
      };
      await sleep(1_000);
      // In half of the rounds, commands are pending.
      if (random.next() < 0.5) await whileMysqlHangs({ system, sleep }, 1_000, rollBack);
      else {
        await sleep(Math.min(pace.outageMs, 4_000) / 2);
        await rollBack();
      }
    },
  },
  {
    name: 'mysql-and-opensearch-down',
    what: 'MySQL and OpenSearch both down under writes',
    needs: ['opensearch'],
    inject: async ({ system, sleep, pace }) => {
      const servers = [system.service('mysql'), system.service('opensearch')];
      for (const server of servers) server.kill('SIGKILL');
      await sleep(pace.downMs);
      await Promise.all(servers.map((server) => server.start()));
    },
  },
  {
    name: 'restart-all',
    what: 'all four servers killed at once and started again',
    inject: async ({ system, sleep, redisGoes }) => {
      redisGoes();
      const names = (['mysql', 'redis', 'rabbitmq', 'opensearch'] as const).filter((name) =>
        system.has(name),
      );
      const servers = names.map((name) => system.service(name));
      for (const server of servers) server.kill('SIGKILL');
      await sleep(500);
      await Promise.all(servers.map((server) => server.start()));
    },
  },
  {
    name: 'poison',
    what: 'poisoned commands in a batch of a thousand',
    inject: ({ system, sleep, pace, pending, expectDead, found }) =>
      whileMysqlHangs({ system, sleep }, 1_500, async () => {
        let creates = await pending();
        for (let tries = 0; tries < 50 && creates.length === 0; tries += 1) {
          await sleep(200);
          creates = await pending();
        }
        const [first] = creates;
        if (first === undefined) return found('stuck', 'no message was on the way when the batch was made');
        const command = JSON.parse(first.content);
        const poisoned = [
          '{ not JSON',
          JSON.stringify({ ...command, body: undefined }),
          JSON.stringify({ ...command, senderId: 999_999_999, commandId: 1 }),
          // The number is another command's.
          JSON.stringify({ ...command, body: 'somebody else', commandId: command.commandId + 1 }),
          // The database refuses it, and with it the whole statement.
          JSON.stringify({
            ...command,
            commandId: undefined,
            messageNumber: 4_294_967_295,
            date: '9999-12-31T23:59:59.999-12:00',
          }),
        ];
        const batch: Copy[] = Array.from(
          { length: pace.batch },
          (_, i) => creates[i % creates.length] ?? first,
        );
        poisoned.forEach((content, i) => {
          batch[Math.floor(((i + 0.5) * batch.length) / poisoned.length)] = {
            queue: 'create-message',
            content,
            // A letter with the same id and text would count as the one of an earlier round.
            messageId: `${poisonMark}-${randomUUID()}`,
          };
        });
        expectDead(poisoned.length);
        await publish(system, batch);
      }),
  },
  {
    name: 'forge',
    what: 'forged messages of each kind, also with ids of commands on their way; then kill -9 of Redis',
    inject: async ({ system, sleep, forge, redisGoes }) => {
      await whileMysqlHangs({ system, sleep }, 1_500, forge);
      redisGoes();
      const server = system.service('redis');
      server.kill('SIGKILL');
      await sleep(500);
      await server.start();
    },
  },
  {
    name: 'three-times',
    what: 'every command delivered three times, in any order',
    inject: ({ system, sleep, pace, random }) =>
      whileMysqlHangs({ system, sleep }, Math.min(pace.outageMs, 5_000), async () => {
        const onTheWay = await readOutboxes(system);
        await publish(system, shuffle([...onTheWay, ...onTheWay], random));
      }),
  },
  {
    name: 'redis-full',
    what: 'Redis at maxmemory',
    inject: async ({ system, sleep, pace, found }) => {
      const setLimit = (limit: string) =>
        withRedis(system, (redis) => redis.config('SET', 'maxmemory', limit));
      await whileMysqlHangs({ system, sleep }, 1_500, async () => {
        await setLimit('1mb');
      });
      try {
        // A server that accepts no writes must still let pending commands leave.
        const deadline = performance.now() + Math.max(pace.outageMs, 10_000);
        let left = 1;
        while (left > 0 && performance.now() < deadline) {
          await sleep(200);
          left = (await readOutboxes(system)).length;
        }
        if (left > 0) found('stuck', `${left} commands cannot leave the outbox while Redis is full`);
        await sleep(1_000);
      } finally {
        await setLimit('0');
      }
    },
  },
  {
    name: 'rabbitmq-alarm',
    what: 'memory alarm of RabbitMQ, which blocks publishers',
    inject: async ({ system, sleep, pace }) => {
      await system.rabbitmqctl('set_vm_memory_high_watermark', 'absolute', '1MB');
      try {
        await sleep(pace.outageMs);
      } finally {
        await system.rabbitmqctl('set_vm_memory_high_watermark', '0.4');
      }
    },
  },
  {
    name: 'slow-network',
    what: 'latency, stalls and resets between functions and servers',
    inject: async ({ system, sleep, pace, random, redisGoes }) => {
      // A stall is longer than a request waits for Redis, so reads come from MySQL.
      redisGoes();
      await system.killApi();
      await system.startApiBehind(
        { latencyMs: 5, jitterMs: 40, stallChance: 0.005, stallMs: 3_000, resetChance: 0.002 },
        random.next,
      );
      await sleep(2 * pace.outageMs);
      system.clearWeather();
    },
  },
  // These come last, because they use the proxies of the slow network.
  swallow('mysql'),
  swallow('redis'),
  swallow('rabbitmq'),
  swallow('opensearch'),
  failover('failover-redis', 'failover of a clustered Redis to its replica', promoteReplica),
  failover(
    'failover-killed-redis',
    'kill -9 of the primary of a clustered Redis; its replica takes over',
    killPrimary,
  ),
  {
    ...failover(
      'failover-behind-redis',
      'kill -9 of the primary of a clustered Redis; its replica lacks the last writes',
      (cluster) => killPrimaryAhead(cluster, BEHIND_MS),
    ),
    losesKeys: true,
  },
];

/** Faults by the Redis of the system that they attack. */
export const faultsOf = (redis: RedisKind): readonly Fault[] =>
  faults.filter((fault) => (fault.redis ?? 'single') === redis);
