import type { Connection, Pool, PoolConnection } from 'mysql2/promise';
import { within } from '#lib/concurrency/within.ts';

/** A connection that was idle for longer may have vanished, so it is checked before its next use. */
const IDLE_MS = 1_000;
const GLANCE_MS = 500;

/**
 * The client's quoting relies on backslash escapes. Strict mode refuses values that do not fit. If a connection vanishes
 * during a transaction, the server ends it and its locks after `wait_timeout` seconds.
 */
const PREPARATION = `SET time_zone = '+00:00', sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION',
  SESSION innodb_lock_wait_timeout = 5, SESSION wait_timeout = 30`;

/** @throws an Error with the code `POOL_WAIT_TIMEOUT` when no connection is free in time */
export const fromPool = async (pool: Pool, timeoutMs: number): Promise<PoolConnection> => {
  const waiting = pool.getConnection();
  try {
    return await within(timeoutMs, waiting, () =>
      Object.assign(new Error('No free connection'), { code: 'POOL_WAIT_TIMEOUT' }),
    );
  } catch (error) {
    waiting.then(
      (late) => late.release(),
      () => undefined,
    );
    throw error;
  }
};

/** The state of each connection in a pool: whether it is prepared, and when it last answered. */
export const createSessions = (timeoutMs: number) => {
  const answeredAtMs = new WeakMap<Connection, number>();
  let trustedFromMs = 0;

  const answered = ({ connection }: PoolConnection): void => {
    answeredAtMs.set(connection, Date.now());
  };

  return {
    answered,
    /** After one connection has become silent, checks all others too, because they may have vanished with it. */
    suspectAll: (): void => {
      trustedFromMs = Date.now();
    },
    /**
     * Prepares a new connection. Checks a connection that was idle or is suspect.
     * @returns false if an earlier connection no longer answers
     * @throws the error of a new connection that cannot be prepared. Ends it, because no statement may run on it.
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
