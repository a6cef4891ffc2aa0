import { connect as connectRabbit } from 'amqplib';
import { Redis } from 'ioredis';
import { createConnection } from 'mysql2/promise';
import { within } from '#lib/concurrency/within.ts';
import { credentialsIn } from '#lib/rabbitmq/credentials.ts';
import { Failure, messageOf } from './failure.ts';
import { type ServiceName, urlVariables } from './types.ts';

const timeoutMs = 3_000;

const protocols: Record<ServiceName, readonly string[]> = {
  mysql: ['mysql:'],
  redis: ['redis:', 'rediss:'],
  rabbitmq: ['amqp:', 'amqps:'],
  opensearch: ['http:', 'https:'],
};

/**
 * Parses the URL of a service.
 * @throws Failure that names the variable and the fault
 */
export const checkUrl = (name: ServiceName, text: string): URL => {
  const wrong = (what: string) =>
    new Failure(`${urlVariables[name]} ${what}. Expected something like ${examples[name]}.`);
  if (!URL.canParse(text)) throw wrong('is not a URL');
  const url = new URL(text);
  if (!protocols[name].includes(url.protocol)) throw wrong(`begins with ${url.protocol}//`);
  if (url.hostname === '') throw wrong('names no host');
  if (!isDecodable(url.username) || !isDecodable(url.password))
    throw wrong('has a user or password with a "%" that encodes no UTF-8; "%" itself is %25');
  if (name === 'mysql' && url.pathname.length < 2) throw wrong('names no database');
  return url;
};

const isDecodable = (encoded: string): boolean => {
  try {
    decodeURIComponent(encoded);
    return true;
  } catch {
    return false;
  }
};

const examples: Record<ServiceName, string> = {
  mysql: 'mysql://user:password@host:3306/database',
  redis: 'redis://:password@host:6379',
  rabbitmq: 'amqp://user:password@host:5672/vhost',
  opensearch: 'https://user:password@host:9200',
};

/** A URL to display, without user and password. */
export const withoutPassword = (text: string): string => {
  const url = new URL(text);
  return `${url.host}${url.pathname === '/' ? '' : url.pathname}`;
};

const probes: Record<ServiceName, (url: URL) => Promise<string>> = {
  mysql: async (url) => {
    const connection = await createConnection({ uri: url.href, connectTimeout: timeoutMs });
    // A connection error after the answer must not end the process.
    connection.on('error', () => undefined);
    try {
      const [rows] = await connection.query({ sql: 'SELECT VERSION()', rowsAsArray: true });
      const version = Array.isArray(rows) && Array.isArray(rows[0]) ? String(rows[0][0]) : 'unknown';
      return version.includes('MariaDB') ? `MariaDB ${version.split('-MariaDB')[0]}` : `MySQL ${version}`;
    } finally {
      connection.destroy();
    }
  },

  redis: async (url) => {
    const redis = new Redis(url.href, {
      lazyConnect: true,
      connectTimeout: timeoutMs,
      commandTimeout: timeoutMs,
      maxRetriesPerRequest: 0,
      retryStrategy: () => null,
      enableReadyCheck: false,
    });
    // The command's rejection is enough; without a listener ioredis would print the error.
    redis.on('error', () => undefined);
    try {
      await redis.connect();
      // While Redis loads its data, it answers INFO but no other command.
      await redis.exists('probe').catch((error) => {
        // A server of a cluster refuses the keys of other servers; the functions find those by themselves.
        if (!/^(MOVED|CLUSTERDOWN) /.test(messageOf(error))) throw error;
      });
      const info = await redis.info('server');
      return `${/^valkey_version:/m.test(info) ? 'Valkey' : 'Redis'} ${/^(?:valkey|redis)_version:(\S+)/m.exec(info)?.[1] ?? 'unknown'}`;
    } finally {
      redis.disconnect();
    }
  },

  rabbitmq: async (url) => {
    const connection = await connectRabbit(url.href, { timeout: timeoutMs, ...credentialsIn(url.href) });
    connection.on('error', () => undefined);
    const { product, version } = connection.connection.serverProperties;
    await connection.close().catch(() => undefined);
    return `${product} ${version}`;
  },

  opensearch: async (url) => {
    const authorization =
      url.username === ''
        ? {}
        : {
            authorization: `Basic ${Buffer.from(`${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`).toString('base64')}`,
          };
    const get = async (path: string): Promise<unknown> => {
      const base = new URL(url);
      base.username = '';
      base.password = '';
      const response = await fetch(new URL(path, base), {
        headers: authorization,
        signal: AbortSignal.timeout(timeoutMs),
      });
      if (!response.ok) throw new Error(`HTTP ${response.status}`);
      return response.json();
    };
    // HTTP answers long before the indices do. Yellow means that every primary shard is available.
    await get('/_cluster/health?wait_for_status=yellow&timeout=2s');
    const about = await get('/');
    return `OpenSearch ${versionIn(about)}`;
  },
};

const versionIn = (about: unknown): string => {
  if (typeof about !== 'object' || about === null || !('version' in about)) return 'unknown';
  const { version } = about;
  if (typeof version !== 'object' || version === null || !('number' in version)) return 'unknown';
  return String(version.number);
};

/**
 * Checks through the server's own protocol that it is ready.
 * @returns product and version
 * @throws the client's error, or an error if there is no answer within a few seconds
 */
export const probe = async (name: ServiceName, url: string): Promise<string> => {
  return within(2 * timeoutMs, probes[name](new URL(url)), () => new Error('no answer'));
};
