import { KnownError } from '#lib/domain/errors.ts';
import { type Database, placeholders, toDateTime } from './database.ts';

export type User = { id: number; name: string; email: string; passwordHash: string };

const DAY_MS = 24 * 60 * 60 * 1000;

/** @returns the names of those of the users that exist, by id */
export const findUserNames = async (
  database: Database,
  ids: readonly number[],
): Promise<Map<number, string>> => {
  const distinct = [...new Set(ids)];
  const rows = await database.select(
    `SELECT id, name FROM users WHERE id IN (${placeholders(distinct.length)})`,
    distinct,
  );
  return new Map(rows.map((row) => [row.id, row.name]));
};

export const createUsers = (database: Database) => {
  const findByEmail = async (email: string): Promise<User | undefined> => {
    const [row] = await database.select('SELECT id, name, email, password FROM users WHERE email = ?', [
      email,
    ]);
    return row && { id: row.id, name: row.name, email: row.email, passwordHash: row.password };
  };

  return {
    findByEmail,

    /**
     * @param signUpKey hash of the request's Idempotency-Key: the same key and address within a day is the same sign-up
     * @throws conflict when the address is taken
     */
    create: async (user: {
      name: string;
      email: string;
      passwordHash: string;
      signUpKey: string | null;
      nowMs: number;
    }): Promise<{ name: string; email: string }> => {
      try {
        await database.write(
          'INSERT INTO users (name, email, password, sign_up_key, created_at) VALUES (?, ?, ?, ?, ?)',
          [user.name, user.email, user.passwordHash, user.signUpKey, toDateTime(user.nowMs)],
        );
        return { name: user.name, email: user.email };
      } catch (error) {
        if (!(error instanceof Error && 'code' in error && error.code === 'ER_DUP_ENTRY')) throw error;
        const [first] = await database.select(
          'SELECT name, email FROM users WHERE email = ? AND sign_up_key = ? AND created_at > ?',
          [user.email, user.signUpKey, toDateTime(user.nowMs - DAY_MS)],
        );
        if (first) return { name: first.name, email: first.email };
        throw new KnownError('conflict', 'This e-mail address is taken.', { cause: error });
      }
    },
  };
};

export type Users = ReturnType<typeof createUsers>;
