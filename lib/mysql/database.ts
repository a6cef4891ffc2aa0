import { createPool, type PoolConnection, type ResultSetHeader, type RowDataPacket } from 'mysql2/promise';
import { isKnownError, unavailable } from '#lib/domain/errors.ts';
import { isDeadlock, isLostConnection, isOutage } from './errors.ts';

export type Value = string | number | null;
export type Row = RowDataPacket;

/** Statement and values; `timeoutMs` for the whole of it. */
export type Database = {
  select: (sql: string, values: readonly Value[]) => Promise<Row[]>;
  /** @returns rows inserted or changed */
  write: (sql: string, values: readonly Value[]) => Promise<number>;
  /** Runs `work` on one connection, for locks that belong to a connection. */
  onOneConnection: <Result>(work: (database: Database) => Promise<Result>) => Promise<Result>;
  /** Runs `work` in one transaction. A deadlock or a lost connection runs all of `work` again. */
  transaction: <Result>(work: (database: Database) => Promise<Result>) => Promise<Result>;
  ping: () => Promise<void>;
  close: () => Promise<void>;
};

const TRIES = 3;

/** One value of an `IN` list, one tuple of a multi-row `VALUES`. */
export const placeholders = (count: number) => Array(count).fill('?').join(', ');
export const tuples = (rows: number, columns: number) =>
  Array(rows)
    .fill(`(${placeholders(columns)})`)
    .join(', ');

/**
 * The end of an insert that leaves alone what is there already. Not `id = id`: MySQL refuses that in a batch where it has
 * generated ids for others (ER_AUTO_INCREMENT_CONFLICT).
 */
export const keepWhatIsThere = 'ON DUPLICATE KEY UPDATE command_id = command_id';

/** DATETIME(3) in UTC. */
export const toDateTime = (ms: number) => new Date(ms).toISOString().slice(0, 23).replace('T', ' ');
export const toMs = (value: unknown): number => (value instanceof Date ? value.getTime() : Number.NaN);

/**
 * A small pool, made when first used. Statements are retried after a deadlock, and once on a new connection when the
 * old one turns out to be dead (an environment that slept): every statement here may be run twice.
 * Throws 'unavailable' when the server does not answer within `timeoutMs`, or cannot do as it is asked whatever the
 * values: read-only, full, without a table or a right.
 */
export const openDatabase = (
  url: string,
  { poolSize, timeoutMs, onError }: { poolSize: number; timeoutMs: number; onError: (error: Error) => void },
): Database => {
  const pool = createPool({
    uri: url,
    connectionLimit: poolSize,
    maxIdle: poolSize,
    idleTimeout: 60_000,
    connectTimeout: Math.min(timeoutMs, 3_000),
    enableKeepAlive: true,
    charset: 'utf8mb4',
    timezone: 'Z',
    flags: ['-FOUND_ROWS'],
  });
  pool.on('connection', (connection) => {
    // Backslash escapes are what the client's quoting relies on; strict mode refuses what would be cut off.
    // Typed as the promise client's, it is the callback client's: the pool emits it as it is underneath.
    (connection as unknown as { query: (sql: string, done: (error: Error | null) => void) => void }).query(
      "SET time_zone = '+00:00', sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', SESSION innodb_lock_wait_timeout = 5",
      (error) => {
        if (error) onError(error);
      },
    );
  });

  const connect = async (): Promise<PoolConnection> => {
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

  const withConnection = async <Result>(
    work: (connection: PoolConnection) => Promise<Result>,
  ): Promise<Result> => {
    const connection = await connect();
    try {
      const result = await work(connection);
      connection.release();
      return result;
    } catch (error) {
      if (isOutage(error)) connection.destroy();
      else connection.release();
      throw error;
    }
  };

  const tried = async <Result>(work: () => Promise<Result>): Promise<Result> => {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await work();
      } catch (error) {
        const again = isDeadlock(error) ? attempt < TRIES : attempt === 1 && isLostConnection(error);
        if (again) continue;
        if (isKnownError(error)) throw error;
        if (isOutage(error) && error instanceof Error) onError(error);
        if (isOutage(error) || isDeadlock(error)) throw unavailable('The database does not answer.', error);
        throw error;
      }
    }
  };

  const on = (
    run: <Result>(work: (connection: PoolConnection) => Promise<Result>) => Promise<Result>,
  ): Database => ({
    select: (sql, values) =>
      run(async (connection) => {
        const [rows] = await connection.query<Row[]>({ sql, values: [...values], timeout: timeoutMs });
        return rows;
      }),
    write: (sql, values) =>
      run(async (connection) => {
        const [result] = await connection.query<ResultSetHeader>({
          sql,
          values: [...values],
          timeout: timeoutMs,
        });
        return result.affectedRows;
      }),
    onOneConnection: (work) => run((connection) => work(on((inner) => inner(connection)))),
    transaction: (work) =>
      run(async (connection) => {
        const command = (sql: string) => connection.query({ sql, timeout: timeoutMs });
        await command('START TRANSACTION');
        try {
          const result = await work(on((inner) => inner(connection)));
          await command('COMMIT');
          return result;
        } catch (error) {
          // A connection that cannot roll back must not return to the pool: closing it rolls back.
          await command('ROLLBACK').catch(() => connection.destroy());
          throw error;
        }
      }),
    ping: () =>
      run(async (connection) => {
        await connection.query({ sql: 'SELECT 1', timeout: timeoutMs });
      }),
    close: () => pool.end(),
  });

  return on((work) => tried(() => withConnection(work)));
};
