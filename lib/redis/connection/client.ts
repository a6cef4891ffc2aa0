import type { Redis } from 'ioredis';
import { within } from '#lib/concurrency/within.ts';
import { addressOf, type NodeOptions, type RedisNode, readInfo } from './node.ts';
import { openPrimary, RedisConfigurationError } from './primary.ts';
import { createRoutes } from './routes.ts';

/** One socket to the server that takes writes. */
export type Connection = {
  readonly redis: Redis;
  /**
   * Identifies one run of one server. It changes after a restart, after a failover and on a copy of the data.
   */
  readonly server: string;
  /** False after the socket has ended, or after the server has refused writes as a replica. */
  readonly isOpen: boolean;
};

type RedisClientOptions = Pick<NodeOptions, 'ca' | 'onError'> & {
  /** The time of one call: half for the first try, half for a second one on another socket. */
  timeoutMs: number;
  /** The prefix of all keys. On a clustered server its hash tag selects the shard. */
  keyPrefix?: string;
};

/**
 * The pause after a failed connection. Calls fail at once meanwhile instead of waiting for a server that is
 * down.
 */
const PAUSE_MS = 200;
/** A socket that was idle for longer is checked before its next use, because it may have vanished. */
const IDLE_MS = 5_000;
/** The time limit of such a check, and of a call shortly after an outage. */
const GLANCE_MS = 500;

const tooLate = (what: string, timeoutMs: number) => () =>
  new Error(`${what} to Redis took longer than ${timeoutMs} ms`);

const runOf = (info: ReadonlyMap<string, string>): string =>
  `${info.get('run_id') ?? ''}:${info.get('master_replid') ?? ''}`;

const createConnection = (node: RedisNode): Connection => ({
  redis: node.redis,
  server: runOf(node.info),
  get isOpen() {
    return node.refusal === undefined && node.redis.status === 'ready';
  },
});

/**
 * Holds one connection to the primary, given the address of any server of its replication or cluster. All
 * callers share the connection. After it has ended, the next call opens a new one.
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

  /** Checks an idle socket: it may have vanished, or its server may have lost and regained its role. */
  const confirmed = async (known: RedisNode, connection: Connection): Promise<Connection> => {
    const info = await within(glanceMs, readInfo(known.redis), tooLate('INFO', glanceMs)).catch(
      () => undefined,
    );
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
    const limitMs = failedLately ? glanceMs : timeoutMs;
    return within(limitMs, wanted, tooLate('A connection', limitMs));
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
     * The shared connection; opens one if there is none. Costs nothing while the connection is in use.
     * @throws an Error without a connection within `timeoutMs`, or at once after a failed connection
     */
    connection,
    /**
     * For an operator: whether the server can be used as it is configured.
     * @throws RedisConfigurationError if it cannot
     */
    inspect: async (): Promise<'usable' | 'no answer'> => {
      try {
        await connection();
        return 'usable';
      } catch (error) {
        if (error instanceof RedisConfigurationError) throw error;
        return 'no answer';
      }
    },
    /** Closes the connection and fails all waiting calls. */
    close: (): void => {
      isClosed = true;
      node?.redis.disconnect();
    },
  };
};

export type RedisClient = ReturnType<typeof createRedisClient>;
