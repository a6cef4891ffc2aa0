import { execFile } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import { createRedisClient } from '#lib/redis/connection/client.ts';
import { guarded } from '#lib/redis/connection/guard.ts';
import { promoteReplica, startRedisCluster } from '../support/redis-nodes.ts';

const keyPrefix = '{chat}:';

/** A self-signed certificate with its key, for these names alone. */
const makeCertificate = async (subjects: string): Promise<string> => {
  const folder = mkdtempSync(join(tmpdir(), 'chat-redis-tls-'));
  const [certificate, key] = [join(folder, 'server.pem'), join(folder, 'server.key')];
  await promisify(execFile)('openssl', [
    ...['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=made in a test'],
    ...['-addext', `subjectAltName=${subjects}`, '-keyout', key, '-out', certificate],
  ]);
  copyFileSync(certificate, join(folder, 'authority.pem'));
  return folder;
};

/** A cluster on 127.0.0.1. The name 127.1 leads there too, and is no address to TLS. */
type Case = {
  name: string;
  /** What the certificate of both servers names. */
  subjects: string;
  /** What `CLUSTER SLOTS` answers: addresses, unless the servers have names. */
  names?: readonly [string, string];
  /** The host of the URL, as a client is given it. */
  host: string;
  refused?: RegExp;
};

const cases: Case[] = [
  {
    name: 'addresses, of an endpoint that the certificate names',
    subjects: 'DNS:localhost',
    host: 'localhost',
  },
  {
    name: 'names, of an endpoint that the certificate names',
    subjects: 'DNS:localhost',
    names: ['127.1', '127.0.1'],
    host: 'localhost',
  },
  {
    name: 'names, of an address that the certificate names',
    subjects: 'IP:127.0.0.1',
    names: ['127.1', '127.0.1'],
    host: '127.0.0.1',
  },
  {
    name: 'names that the certificate names, as the URL does',
    subjects: 'DNS:127.1,DNS:127.0.1',
    names: ['127.1', '127.0.1'],
    host: '127.1',
  },
  {
    name: 'names, where the certificate names another endpoint',
    subjects: 'DNS:elsewhere.example',
    names: ['127.1', '127.0.1'],
    host: 'localhost',
    refused: /localhost\. is not in the cert's altnames/,
  },
];

test.each(cases)('a cluster that answers $name', async ({ subjects, names, host, refused }) => {
  const folder = await makeCertificate(subjects);
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const pair = await startRedisCluster('tls', { folder, ...(names === undefined ? {} : { names }) });
  onTestFinished(() => pair.stop());
  const increment = async (url: string) => {
    const own = new URL(url);
    own.hostname = host;
    const client = createRedisClient(own.href, {
      timeoutMs: 4_000,
      keyPrefix,
      ca: readFileSync(join(folder, 'authority.pem'), 'utf8'),
      onError: () => undefined,
    });
    onTestFinished(() => client.close());
    return guarded(client, ({ redis }) => redis.incr(`${keyPrefix}count`));
  };
  const { replica } = await pair.roles();
  if (refused !== undefined) {
    await expect(increment(replica.tlsUrl)).rejects.toMatchObject({
      cause: expect.objectContaining({ message: expect.stringMatching(refused) }),
    });
    return;
  }
  // The replica leads to the primary by the slots, and after a failover the other way round.
  expect(await increment(replica.tlsUrl)).toBe(1);
  await promoteReplica(pair);
  const { replica: demoted } = await pair.roles();
  expect(await increment(demoted.tlsUrl)).toBe(2);
});
