import type { EmailAddress } from '#lib/domain/email-address.ts';
import { KnownError, unprocessable } from '#lib/domain/errors.ts';
import { type Database, placeholders, toDateTime } from './connection/database.ts';

export type User = { id: number; name: string; email: string; passwordHash: string };

export type NewUser = {
  name: string;
  email: EmailAddress;
  passwordHash: string;
  /** Hash of the request's `Idempotency-Key`. */
  signUpKey: string;
  /** HMAC of the whole request. */
  signUpRequest: string;
  nowMs: number;
};

const DAY_MS = 24 * 60 * 60 * 1000;

/** @returns the names of the existing users among `ids`, by id */
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
  const findByEmail = async (email: EmailAddress): Promise<User | undefined> => {
    const [row] = await database.select('SELECT id, name, email, password FROM users WHERE email = ?', [
      email,
    ]);
    // utf8mb4_bin ignores trailing spaces in comparisons.
    if (row === undefined || row.email !== email) return undefined;
    return { id: row.id, name: row.name, email: row.email, passwordHash: row.password };
  };

  /** The sign-up that had the same key less than a day ago. */
  const findSignUp = async ({ email, signUpKey, nowMs }: NewUser) => {
    const [row] = await database.select(
      'SELECT name, email, sign_up_request FROM users WHERE email = ? AND sign_up_key = ? AND created_at > ?',
      [email, signUpKey, toDateTime(nowMs - DAY_MS)],
    );
    return row;
  };

  return {
    findByEmail,

    /**
     * @param isSameRequest compares a stored `signUpRequest` with this request, for every secret in use
     * @returns the new user, or the first answer if the same key and request arrive again within a day
     * @throws conflict if the address is taken; unprocessable if the key was used for another request
     */
    create: async (
      user: NewUser,
      isSameRequest: (signUpRequest: string) => boolean,
    ): Promise<{ name: string; email: string }> => {
      const { name, email, passwordHash, signUpKey, signUpRequest, nowMs } = user;
      try {
        await database.write(
          'INSERT INTO users (name, email, password, sign_up_key, sign_up_request, created_at) VALUES (?, ?, ?, ?, ?, ?)',
          [name, email, passwordHash, signUpKey, signUpRequest, toDateTime(nowMs)],
        );
        return { name, email };
      } catch (error) {
        if (!(error instanceof Error && 'code' in error && error.code === 'ER_DUP_ENTRY')) throw error;
        const first = await findSignUp(user);
        if (first === undefined) {
          throw new KnownError('conflict', 'This e-mail address is taken.', { cause: error });
        }
        if (!isSameRequest(first.sign_up_request ?? '')) {
          throw unprocessable('This Idempotency-Key was used for another request.');
        }
        return { name: first.name, email: first.email };
      }
    },
  };
};

export type Users = ReturnType<typeof createUsers>;
