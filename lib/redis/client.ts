import { randomUUID } from 'node:crypto';
import type { Redis } from 'ioredis';
import { addressOf, type NodeOptions, type RedisNode, readInfo } from './node.ts';
import { openPrimary, RedisConfigurationError } from './primary.ts';
import { createRoutes } from './routes.ts';

/** One socket to the server that takes writes. */
export type Connection = {
  readonly redis: Redis;
  /** Names one run of one server: a restart, a failover and a copy of the data elsewhere have other names. */
  readonly server: string;
  /** False when the server tells no run: `server` then names this socket only. */
  readonly identified: boolean;
  /** False as soon as the socket has ended, or the server has said that it does not take writes any more. */
  readonly isOpen: boolean;
};

type RedisClientOptions = Pick<NodeOptions, 'ca' | 'onError'> & {
  /** For one call: half of it for a first try, half for a second on another socket. */
  timeoutMs: number;
  /** Of all keys; on a clustered server its hash tag says which shard has them. */
  keyPrefix?: string;
};

/** Nobody tries again for so long after a failed opening: a server that is down costs its callers nothing. */
const PAUSE_MS = 200;
/** A socket that nobody used for so long is looked at before its next use: it may have vanished meanwhile. */
const IDLE_MS = 5_000;
/** How long such a look, and a caller of a server that was down a moment ago, may take. */
const GLANCE_MS = 500;

const within = async <Result>(timeoutMs: number, what: string, work: Promise<Result>): Promise<Result> => {
  let timer: NodeJS.Timeout | undefined;
  const tooLong = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} took longer than ${timeoutMs} ms`)), timeoutMs);
  });
  try {
    return await Promise.race([work, tooLong]);
  } finally {
    clearTimeout(timer);
  }
};

const runOf = (info: ReadonlyMap<string, string>): string | undefined => {
  const run = info.get('run_id');
  return run === undefined ? undefined : `${run}:${info.get('master_replid') ?? ''}`;
};

const createConnection = (node: RedisNode): Connection => {
  const run = runOf(node.info);
  return {
    redis: node.redis,
    server: run ?? `c:${randomUUID()}`,
    identified: run !== undefined,
    get isOpen() {
      return node.refusal === undefined && node.redis.status === 'ready';
    },
  };
};

/**
 * Holds one connection to the server that takes writes, given any server of its replication or its cluster. Whoever
 * asks gets the same one; a connection that has ended is replaced when the next caller asks.
 */
export const createRedisClient = (
  url: string,
  { timeoutMs, keyPrefix = '', ca, onError }: RedisClientOptions,
) => {
  const tryMs = Math.ceil(timeoutMs / 2);
  const glanceMs = Math.min(GLANCE_MS, tryMs);
  const routes = createRoutes(addressOf(url));
  let node: RedisNode | undefined;
  let held: { connection: Connection; promise: Promise<Connection> } | undefined;
  let opening: Promise<Connection> | undefined;
  let failed: { error: unknown; atMs: number } | undefined;
  let usedAtMs = 0;
  let isClosed = false;

  const hold = (connection: Connection) => {
    held = { connection, promise: Promise.resolve(connection) };
    failed = undefined;
    return connection;
  };

  const open = async (): Promise<Connection> => {
    const from = routes.next(node);
    node?.redis.disconnect();
    node = undefined;
    try {
      const found = await openPrimary({ url, timeoutMs: tryMs, ca, onError }, from, keyPrefix);
      node = found.node;
      routes.reached(node.address, found.members);
      if (isClosed) node.redis.disconnect();
      return createConnection(node);
    } catch (error) {
      routes.failed();
      throw error;
    }
  };

  /** An unused socket may have vanished, and the server behind it may have lost and regained its role. */
  const confirmed = async (known: RedisNode, connection: Connection): Promise<Connection> => {
    const info = await within(glanceMs, 'Redis: INFO', readInfo(known.redis)).catch(() => undefined);
    if (info !== undefined && connection.isOpen && runOf(info) === runOf(known.info)) return connection;
    known.redis.disconnect();
    return open();
  };

  const begin = (work: Promise<Connection>): Promise<Connection> => {
    held = undefined;
    opening = work.then(hold).finally(() => {
      opening = undefined;
    });
    opening.catch((error: Error) => {
      failed = { error, atMs: Date.now() };
      onError(error);
    });
    return opening;
  };

  const slowly = (idleMs: number): Promise<Connection> => {
    if (isClosed) return Promise.reject(new Error('The Redis client was closed'));
    if (opening === undefined && failed !== undefined && Date.now() - failed.atMs < PAUSE_MS) {
      return Promise.reject(failed.error);
    }
    const isIdle = held?.connection.isOpen && idleMs >= IDLE_MS;
    const wanted = opening ?? begin(isIdle && node && held ? confirmed(node, held.connection) : open());
    const failedLately = failed !== undefined && Date.now() - failed.atMs < IDLE_MS;
    return within(failedLately ? glanceMs : timeoutMs, 'Connecting to Redis', wanted);
  };

  const connection = (): Promise<Connection> => {
    const nowMs = Date.now();
    const idleMs = nowMs - usedAtMs;
    usedAtMs = nowMs;
    if (held?.connection.isOpen && idleMs < IDLE_MS) return held.promise;
    return slowly(idleMs);
  };

  return {
    /**
     * The connection that all share, opened where there is none. Costs nothing while it is in use.
     * @throws an Error when there is none within `timeoutMs`, or at once after a failed opening
     */
    connection,
    /**
     * For an operator: whether the server tells who it is. Without that, the gate closes at every new connection.
     * @throws RedisConfigurationError
     */
    inspect: async (): Promise<'identified' | 'not identified' | 'no answer'> => {
      try {
        return (await connection()).identified ? 'identified' : 'not identified';
      } catch (error) {
        if (error instanceof RedisConfigurationError) throw error;
        return 'no answer';
      }
    },
    /** Ends the connection, and everything that waits on it. */
    close: (): void => {
      isClosed = true;
      node?.redis.disconnect();
    },
  };
};

export type RedisClient = ReturnType<typeof createRedisClient>;
