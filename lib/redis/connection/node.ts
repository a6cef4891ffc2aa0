import { isIP } from 'node:net';
import { checkServerIdentity, type PeerCertificate } from 'node:tls';
import { Redis } from 'ioredis';
import { joinWrites } from '#lib/concurrency/join-writes.ts';

export type Address = { host: string; port: number };

export type NodeOptions = {
  /** `redis://` or `rediss://`, with credentials. */
  url: string;
  /** The time limit for connecting, and for each silence while commands wait for replies. */
  timeoutMs: number;
  /** Certificate authorities (PEM) to trust instead of Node's own. */
  ca?: string | undefined;
  onError: (error: Error) => void;
};

/** One socket to one server. It never reconnects; another socket is another node. */
export type RedisNode = {
  readonly redis: Redis;
  readonly address: Address;
  /** Fields of `INFO`; empty when the server denies it. */
  readonly info: ReadonlyMap<string, string>;
  /** The error with which the server refused writes as a replica. The socket ends with it. */
  readonly refusal: string | undefined;
};

/** Error replies of a server that is not the primary (any more). The command had no effect. */
export const isRefusal = (error: unknown): error is Error =>
  error instanceof Error && /^(MOVED|READONLY|MASTERDOWN|LOADING|CLUSTERDOWN) /.test(error.message);

export const addressOf = (url: string): Address => {
  const { hostname, port } = new URL(url);
  return { host: hostname.replace(/^\[|\]$/g, ''), port: Number(port || 6379) };
};

const urlAt = (url: string, { host, port }: Address): string => {
  const own = new URL(url);
  own.hostname = host.includes(':') ? `[${host}]` : host;
  own.port = String(port);
  return own.href;
};

const parseInfo = (text: string): Map<string, string> =>
  new Map(
    text.split(/\r?\n/).flatMap((line) => {
      const colon = line.indexOf(':');
      return colon > 0 ? [[line.slice(0, colon), line.slice(colon + 1)] as const] : [];
    }),
  );

/** @throws the server's error, except a denied `INFO` */
export const readInfo = async (redis: Redis): Promise<Map<string, string>> => {
  try {
    return parseInfo(await redis.info());
  } catch (error) {
    if (error instanceof Error && error.message.startsWith('NOPERM')) return new Map();
    throw error;
  }
};

/**
 * A cluster names its servers by names or addresses that their certificates may lack: those of MemoryDB name the
 * endpoint of the URL. So a certificate for the URL's host is accepted on every server, and one for the server's own.
 */
const tlsOf = ({ url, ca }: NodeOptions, found: Address) => {
  if (!url.startsWith('rediss:')) return {};
  const { host } = addressOf(url);
  return {
    tls: {
      ...(ca === undefined ? {} : { ca }),
      // TLS sends names only.
      ...(isIP(host) === 0 ? { servername: host } : {}),
      checkServerIdentity: (_name: string, certificate: PeerCertificate): Error | undefined => {
        const refusal = checkServerIdentity(host, certificate);
        return refusal && checkServerIdentity(found.host, certificate) && refusal;
      },
    },
  };
};

const optionsOf = ({ timeoutMs }: NodeOptions) => ({
  lazyConnect: true,
  connectTimeout: timeoutMs,
  // Ends the socket, because a vanished connection stays silent. `commandTimeout` would only end the command.
  socketTimeout: timeoutMs,
  // ioredis must not resend: a script on another socket could number twice, under another server's identity.
  retryStrategy: () => null,
  enableOfflineQueue: false,
  autoResendUnfulfilledCommands: false,
  maxRetriesPerRequest: 0,
  enableReadyCheck: false,
});

/** @throws an Error when the server does not answer within twice `timeoutMs`, or refuses the credentials */
export const openNode = async (options: NodeOptions, address: Address): Promise<RedisNode> => {
  let refusal: string | undefined;
  const redis = new Redis(urlAt(options.url, address), {
    ...optionsOf(options),
    ...tlsOf(options, address),
    reconnectOnError: (error) => {
      if (isRefusal(error)) refusal = error.message;
      // Ends the socket, because there is no retry strategy.
      return isRefusal(error);
    },
  });
  let reason: Error | undefined;
  redis.on('error', (error: Error) => {
    reason = error;
  });
  try {
    await redis.connect();
    const info = await readInfo(redis);
    joinWrites(redis.stream);
    redis.on('error', options.onError);
    return {
      redis,
      address,
      info,
      get refusal() {
        return refusal;
      },
    };
  } catch (error) {
    redis.disconnect();
    // ioredis rejects with "Connection is closed" and reports the reason in the event.
    throw reason ?? error;
  }
};
