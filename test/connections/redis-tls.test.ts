import { execFile } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest';
import { createRedisClient } from '#lib/redis/connection/client.ts';
import { guarded } from '#lib/redis/connection/guard.ts';
import { promoteReplica, type RedisPair, startRedisCluster } from '../support/redis-nodes.ts';

const keyPrefix = '{chat}:';

let pair: RedisPair;
beforeAll(async () => {
  pair = await startRedisCluster('tls');
});
afterAll(() => pair?.stop());

/** Makes a self-signed certificate for these names alone, which any user may read. @returns its folder */
const makeCertificate = async (subjects: string): Promise<string> => {
  const folder = mkdtempSync(join(tmpdir(), 'chat-redis-tls-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  await promisify(execFile)('openssl', [
    ...['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', `/CN=${subjects}`],
    ...['-addext', `subjectAltName=${subjects}`],
    ...['-keyout', join(folder, 'server.key'), '-out', join(folder, 'server.pem')],
  ]);
  chmodSync(folder, 0o755);
  chmodSync(join(folder, 'server.key'), 0o644);
  return folder;
};

/** The names 127.1 and 127.0.1 lead to 127.0.0.1 as well, and no certificate can name them. */
const names = ['127.1', '127.0.1'] as const;
type Case = {
  /** For what the certificates are: of the primary, and of its replica. */
  certificates: readonly [string, string];
  /** What `CLUSTER SLOTS` answers instead of addresses. */
  names?: typeof names;
  /** The host of the URL, as a client is given it. */
  host: string;
};

/** Gives both servers new certificates and names. @returns the authorities to trust */
const reconfigure = async ({ certificates, names }: Case): Promise<string> => {
  const { primary, replica } = await pair.roles();
  const servers = [primary, replica];
  const folders = await Promise.all(certificates.map(makeCertificate));
  const ca = folders.map((folder) => readFileSync(join(folder, 'server.pem'), 'utf8')).join('');
  for (const [at, folder] of folders.entries()) {
    writeFileSync(join(folder, 'authority.pem'), ca);
    await servers[at]?.redis.call(
      'CONFIG',
      'SET',
      ...['tls-cert-file', join(folder, 'server.pem'), 'tls-key-file', join(folder, 'server.key')],
      ...['tls-ca-cert-file', join(folder, 'authority.pem')],
      ...['cluster-announce-hostname', names?.[at] ?? ''],
      ...['cluster-preferred-endpoint-type', names === undefined ? 'ip' : 'hostname'],
    );
  }
  await vi.waitFor(async () => {
    for (const { redis } of servers) {
      const [slots] = await redis.cluster('SLOTS');
      expect(slots?.[2]?.[0]).toBe(names?.[0] ?? '127.0.0.1');
    }
  }, 20_000);
  return ca;
};

/** Increments a counter by way of the replica, which names the primary. */
const increment = async (host: string, ca: string): Promise<number> => {
  const url = new URL((await pair.roles()).replica.tlsUrl);
  url.hostname = host;
  const client = createRedisClient(url.href, { timeoutMs: 4_000, keyPrefix, ca, onError: () => undefined });
  onTestFinished(() => client.close());
  return guarded(client, ({ redis }) => redis.incr(`${keyPrefix}count`));
};

const local = ['DNS:localhost', 'DNS:localhost'] as const;
const loopback = ['IP:127.0.0.1', 'IP:127.0.0.1'] as const;

test.each<[string, Case]>([
  ['addresses is reached by a certificate of its endpoint', { certificates: local, host: 'localhost' }],
  ['names is reached by a certificate of its endpoint', { certificates: local, names, host: 'localhost' }],
  ['names is reached by a certificate of its address', { certificates: loopback, names, host: '127.0.0.1' }],
])('a cluster that answers %s, before and after a failover', async (_name, given) => {
  const ca = await reconfigure(given);
  const before = await increment(given.host, ca);
  await promoteReplica(pair);
  expect(await increment(given.host, ca)).toBe(before + 1);
});

test('a server with a certificate of its own address is reached from a URL with a name', async () => {
  const ca = await reconfigure({ certificates: ['IP:127.0.0.1', 'DNS:localhost'], host: 'localhost' });
  expect(await increment('localhost', ca)).toBeGreaterThan(0);
});

test.each<[string, Case]>([
  ['at the URL', { certificates: ['DNS:localhost', 'DNS:elsewhere.example'], host: 'localhost' }],
  [
    'at the server that the cluster names',
    { certificates: ['DNS:elsewhere.example', 'DNS:localhost'], names, host: 'localhost' },
  ],
])('a certificate of another host is refused %s', async (_name, given) => {
  const ca = await reconfigure(given);
  await expect(increment(given.host, ca)).rejects.toMatchObject({
    cause: expect.objectContaining({
      message: expect.stringMatching(/localhost\. is not in the cert's altnames: DNS:elsewhere\.example/),
    }),
  });
});
