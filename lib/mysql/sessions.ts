import type { Connection, Pool, PoolConnection } from 'mysql2/promise';

/** An unused connection may have vanished: it is asked before its next use, and has so long to answer. */
const IDLE_MS = 1_000;
const GLANCE_MS = 500;

/**
 * Backslash escapes are what the client's quoting relies on; strict mode refuses values that do not fit. The server
 * ends a connection that vanished in the middle of a transaction, and its locks, after `wait_timeout` seconds.
 */
const PREPARATION = `SET time_zone = '+00:00', sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION',
  SESSION innodb_lock_wait_timeout = 5, SESSION wait_timeout = 30`;

/** @throws an Error with the code `POOL_WAIT_TIMEOUT` when no connection is free in time */
export const fromPool = async (pool: Pool, timeoutMs: number): Promise<PoolConnection> => {
  let timer: NodeJS.Timeout | undefined;
  const waiting = pool.getConnection();
  const tooLong = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(
      () => reject(Object.assign(new Error('No free connection'), { code: 'POOL_WAIT_TIMEOUT' })),
      timeoutMs,
    );
  });
  try {
    return await Promise.race([waiting, tooLong]);
  } catch (error) {
    waiting.then(
      (late) => late.release(),
      () => undefined,
    );
    throw error;
  } finally {
    clearTimeout(timer);
  }
};

/** What is known of each connection of a pool: whether it is prepared, and when it last answered. */
export const createSessions = (timeoutMs: number) => {
  const answeredAtMs = new WeakMap<Connection, number>();
  let trustedFromMs = 0;

  const answered = ({ connection }: PoolConnection): void => {
    answeredAtMs.set(connection, Date.now());
  };

  return {
    answered,
    /** One connection fell silent: the others may have vanished with it. */
    suspectAll: (): void => {
      trustedFromMs = Date.now();
    },
    /**
     * Prepares a new connection; asks one that nobody used for a while, or that is suspect.
     * @returns false when a connection that was used before does not answer any more
     * @throws the error of a new connection that cannot be prepared, and ends it: no statement may run on it
     */
    isUsable: async (pooled: PoolConnection): Promise<boolean> => {
      const lastMs = answeredAtMs.get(pooled.connection);
      if (lastMs === undefined) {
        await pooled.query({ sql: PREPARATION, timeout: timeoutMs }).catch((error) => {
          pooled.destroy();
          throw error;
        });
        answered(pooled);
        return true;
      }
      if (lastMs > trustedFromMs && Date.now() - lastMs < IDLE_MS) return true;
      const answers = await pooled.query({ sql: 'DO 0', timeout: Math.min(GLANCE_MS, timeoutMs) }).then(
        () => true,
        () => false,
      );
      if (answers) answered(pooled);
      return answers;
    },
  };
};
