import { createPool, type PoolConnection, type ResultSetHeader, type RowDataPacket } from 'mysql2/promise';
import { isKnownError, unavailable } from '#lib/domain/errors.ts';
import { isDeadlock, isLostConnection, isOutage, isSilence, withoutStatement } from './errors.ts';
import { createSessions, fromPool } from './sessions.ts';

export type Value = string | number | null;
export type Row = RowDataPacket;

/** Runs statements with their values. */
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

/** `limitMs`: the time limit of each statement. */
type Work<Result> = (connection: PoolConnection, limitMs: number) => Promise<Result>;

/** The placeholders of an `IN` list, or of one tuple of a multi-row `VALUES`. */
export const placeholders = (count: number) => Array(count).fill('?').join(', ');
export const tuples = (rows: number, columns: number) =>
  Array(rows)
    .fill(`(${placeholders(columns)})`)
    .join(', ');

/** A table of literal rows, for an `UPDATE … JOIN`, which changes many rows at once and cannot insert. */
export const literals = (columns: readonly string[], rows: number): string => {
  const first = `SELECT ${columns.map((column) => `? AS ${column}`).join(', ')}`;
  return `(${[first, ...Array(rows - 1).fill(`SELECT ${placeholders(columns.length)}`)].join(' UNION ALL ')})`;
};

/**
 * The end of an insert that leaves existing rows unchanged. `id = id` would not do: in a batch with generated ids MySQL
 * refuses it (ER_AUTO_INCREMENT_CONFLICT).
 */
export const keepWhatIsThere = 'ON DUPLICATE KEY UPDATE command_id = command_id';

/** DATETIME(3) in UTC. */
export const toDateTime = (ms: number) => new Date(ms).toISOString().slice(0, 23).replace('T', ' ');
export const toMs = (value: unknown): number => (value instanceof Date ? value.getTime() : Number.NaN);

/** @throws the error of the query without the statement and its values */
const hiding = <Result>(values: readonly Value[], query: Promise<Result>): Promise<Result> =>
  query.catch((error: unknown) => {
    throw withoutStatement(error, values);
  });

/**
 * A small pool of connections, created at the first use. A statement runs again after a deadlock. It also runs once more
 * on another connection if the first one has ended or is silent for half of `timeoutMs`. So every statement may run twice.
 * All functions throw 'unavailable' if the server does not answer within `timeoutMs`, or if its state prevents the
 * statement: read-only, full, or without a table or a right.
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
  const sessions = createSessions(timeoutMs);
  const connect = async (): Promise<PoolConnection> => {
    for (;;) {
      const connection = await fromPool(pool, timeoutMs);
      // The pool has few connections. Once all dead ones are removed, the next one is new.
      if (await sessions.isUsable(connection)) return connection;
      connection.destroy();
    }
  };

  const withConnection = async <Result>(work: Work<Result>, limitMs: number): Promise<Result> => {
    const connection = await connect();
    try {
      const result = await work(connection, limitMs);
      sessions.answered(connection);
      connection.release();
      return result;
    } catch (error) {
      if (isSilence(error)) sessions.suspectAll();
      if (isOutage(error)) connection.destroy();
      else connection.release();
      throw error;
    }
  };

  const tried = async <Result>(work: Work<Result>): Promise<Result> => {
    for (let attempt = 1; ; attempt += 1) {
      try {
        // A silent first attempt may be due to a vanished connection, so half of the time is kept for another one.
        return await withConnection(work, attempt === 1 ? timeoutMs / 2 : timeoutMs);
      } catch (error) {
        const isLost = isLostConnection(error) || isSilence(error);
        const again = isDeadlock(error) ? attempt < TRIES : attempt === 1 && isLost;
        if (again) continue;
        if (isKnownError(error)) throw error;
        if (isOutage(error) && error instanceof Error) onError(error);
        const safe = withoutStatement(error, []);
        if (isOutage(error) || isDeadlock(error)) throw unavailable('The database does not answer.', safe);
        throw safe;
      }
    }
  };

  const on = (run: <Result>(work: Work<Result>) => Promise<Result>): Database => ({
    select: (sql, values) =>
      run(async (connection, limitMs) => {
        const [rows] = await hiding(
          values,
          connection.query<Row[]>({ sql, values: [...values], timeout: limitMs }),
        );
        return rows;
      }),
    write: (sql, values) =>
      run(async (connection, limitMs) => {
        const [result] = await hiding(
          values,
          connection.query<ResultSetHeader>({ sql, values: [...values], timeout: limitMs }),
        );
        return result.affectedRows;
      }),
    onOneConnection: (work) => run((connection, limitMs) => work(on((inner) => inner(connection, limitMs)))),
    transaction: (work) =>
      run(async (connection, limitMs) => {
        const command = (sql: string) => connection.query({ sql, timeout: limitMs });
        await command('START TRANSACTION');
        try {
          const result = await work(on((inner) => inner(connection, limitMs)));
          await command('COMMIT');
          return result;
        } catch (error) {
          // A connection that cannot roll back must not return to the pool. Closing it rolls back.
          if (isSilence(error)) connection.destroy();
          else await command('ROLLBACK').catch(() => connection.destroy());
          throw error;
        }
      }),
    ping: () =>
      run(async (connection, limitMs) => {
        await connection.query({ sql: 'SELECT 1', timeout: limitMs });
      }),
    close: () => pool.end(),
  });

  return on(tried);
};
