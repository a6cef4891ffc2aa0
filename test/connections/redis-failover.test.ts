import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { createRedisClient, type RedisClient } from '#lib/redis/connection/client.ts';
import { guarded } from '#lib/redis/connection/guard.ts';
import {
  authorityFile,
  killPrimary,
  promoteReplica,
  type RedisPair,
  startRedisCluster,
  startRedisReplication,
  untilClustered,
  untilCopied,
  untilRedundant,
} from '../support/redis-nodes.ts';

const keyPrefix = '{chat}:';
const ca = readFileSync(authorityFile, 'utf8');

const clientOf = (url: string, prefix = keyPrefix): RedisClient => {
  const client = createRedisClient(url, {
    timeoutMs: 4_000,
    keyPrefix: prefix,
    ca,
    onError: () => undefined,
  });
  onTestFinished(() => client.close());
  return client;
};
const increment = (client: RedisClient, key: string) =>
  guarded(client, ({ redis }) => redis.incr(`${keyPrefix}${key}`));
const eventually = <Result>(assertion: () => Promise<Result>): Promise<Result> =>
  vi.waitFor(assertion, { timeout: 20_000, interval: 50 });

describe.each([
  ['replication', startRedisReplication],
  ['a cluster', startRedisCluster],
])('%s, given any of its servers', (kind, start) => {
  let pair: RedisPair;
  beforeAll(async () => {
    pair = await start(kind.replaceAll(' ', '-'));
  });
  afterAll(() => pair?.stop());

  test.each(['primary', 'replica'] as const)(
    'writes go to the primary from the URL of the %s',
    async (role) => {
      const server = (await pair.roles())[role];
      const key = randomUUID();
      // Plain replicas name their primary by the port that they replicate from.
      for (const url of kind === 'a cluster' ? [server.url, server.tlsUrl] : [server.url, server.url]) {
        const client = clientOf(url);
        await increment(client, key);
      }
      expect(await (await pair.roles()).primary.redis.get(`${keyPrefix}${key}`)).toBe('2');
    },
  );
});

describe('over a failover of a cluster', () => {
  let pair: RedisPair;
  beforeAll(async () => {
    pair = await startRedisCluster('failover');
  });
  afterAll(() => pair?.stop());

  test('the next write goes to the new primary, under another identity', async () => {
    const { primary, replica } = await pair.roles();
    const clients = [primary.url, replica.url, replica.tlsUrl].map((url) => clientOf(url));
    const key = randomUUID();
    for (const client of clients) await increment(client, key);
    const before = await Promise.all(clients.map(async (client) => (await client.connection()).server));
    expect(new Set(before).size).toBe(1);
    expect(await promoteReplica(pair)).toBe(replica);
    for (const [at, client] of clients.entries())
      expect(await increment(client, key)).toBe(clients.length + at + 1);
    const after = await Promise.all(clients.map(async (client) => (await client.connection()).server));
    expect(new Set([...before, ...after]).size).toBe(2);
  });

  test('a killed primary is replaced, and found again after its return', { timeout: 60_000 }, async () => {
    const { primary, replica } = await pair.roles();
    await untilClustered(pair.servers);
    // The URL leads to the server that is about to go.
    const client = clientOf(primary.url);
    const key = randomUUID();
    await increment(client, key);
    await untilCopied(primary, replica);
    primary.process.kill('SIGKILL');
    await expect(increment(client, key)).rejects.toMatchObject({ code: 'unavailable' });
    await replica.redis.cluster('FAILOVER', 'TAKEOVER');
    expect(await eventually(() => increment(client, key))).toBe(2);
    await primary.process.start();
    await eventually(async () =>
      expect(await primary.redis.info('replication')).toContain('master_link_status:up'),
    );
    expect(await promoteReplica(pair)).toBe(primary);
    expect(await increment(client, key)).toBe(3);
  });

  test('a server that was down when the client connected is found later', { timeout: 60_000 }, async () => {
    const [first, second] = pair.servers;
    if ((await pair.roles()).primary === first) await promoteReplica(pair);
    const client = clientOf(first.url);
    const key = randomUUID();
    await increment(client, key);
    for (const [at, server] of [second, first].entries()) {
      expect((await killPrimary(pair)).url).not.toBe(server.url);
      expect(await eventually(() => increment(client, key))).toBe(at + 2);
      await server.process.start();
      await untilRedundant(pair);
    }
  });

  test('a prefix without a hash tag is one error that names the variable', async () => {
    const { primary } = await pair.roles();
    for (const prefix of ['', 'chat:', '{}:', 'chat}{:']) {
      const client = clientOf(primary.url, prefix);
      await expect(increment(client, 'any')).rejects.toThrow('REDIS_KEY_PREFIX');
      await expect(client.inspect()).rejects.toThrow('REDIS_KEY_PREFIX');
    }
  });
});

test('over a failover of plain servers, the URL of the promoted one stays right', async () => {
  const pair = await startRedisReplication('promotion');
  onTestFinished(() => pair.stop());
  const { primary, replica } = await pair.roles();
  const client = clientOf(replica.url);
  const key = randomUUID();
  await increment(client, key);
  await untilCopied(primary, replica);
  primary.process.kill('SIGKILL');
  await expect(increment(client, key)).rejects.toMatchObject({ code: 'unavailable' });
  await replica.redis.replicaof('NO', 'ONE');
  expect(await eventually(() => increment(client, key))).toBe(2);
});

describe('a server that shows no run_id', () => {
  test.each([0, 1])('is refused, by its primary and by its replica (%d)', async (at) => {
    const pair = await startRedisReplication('denied');
    onTestFinished(() => pair.stop());
    const { primary, replica } = await pair.roles();
    for (const { redis } of pair.servers)
      await redis.acl('SETUSER', 'app', 'on', '>secret', '~*', '+@all', '-info');
    const own = new URL((at === 0 ? primary : replica).url);
    own.username = 'app';
    own.password = 'secret';
    const client = clientOf(own.href);
    await expect(client.inspect()).rejects.toThrow(/REDIS_URL: Redis shows no run_id.*\+info/);
    await expect(increment(client, 'any')).rejects.toThrow('run_id');
    // Allowed later, without a new client.
    for (const { redis } of pair.servers) await redis.acl('SETUSER', 'app', '+info');
    expect(await eventually(() => increment(client, 'any'))).toBe(1);
    expect(await client.inspect()).toBe('usable');
  });
});
