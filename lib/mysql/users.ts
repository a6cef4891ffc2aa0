import type { EmailAddress } from '#lib/domain/email-address.ts';
import { conflict, unprocessable } from '#lib/domain/errors.ts';
import { createAccountErasure } from './account-erasure.ts';
import { type Database, placeholders, type Row, toDateTime, type Value } from './connection/database.ts';
import { createTokenGenerations } from './token-generations.ts';

/** A user as users see themselves. */
export type Profile = { name: string; email: string; handle: string };
/** `generation`: of the access tokens. Read together with the password's hash, so that a new password ends their tokens. */
export type User = {
  id: number;
  name: string;
  email: string;
  handle: string;
  passwordHash: string;
  generation: number;
};
/** Who creates an item. `handle` is null for a user from before handles existed, until it is given. */
export type Owner = { name: string; handle: string | null };

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

/** @returns the existing users among `ids`, by id */
export const findOwners = async (database: Database, ids: readonly number[]): Promise<Map<number, Owner>> => {
  const distinct = [...new Set(ids)];
  const rows = await database.select(
    `SELECT id, name, handle FROM users WHERE id IN (${placeholders(distinct.length)})`,
    distinct,
  );
  return new Map(rows.map((row) => [row.id, { name: row.name, handle: row.handle }]));
};

/** @returns those of the users whose accounts were erased */
export const findErased = async (database: Database, ids: readonly number[]): Promise<Set<number>> => {
  const distinct = [...new Set(ids)];
  if (distinct.length === 0) return new Set();
  const rows = await database.select(
    `SELECT id FROM users WHERE id IN (${placeholders(distinct.length)}) AND erased_at IS NOT NULL`,
    distinct,
  );
  return new Set(rows.map((row) => row.id));
};

/** Users that get their handle in one transaction. */
const SLICE = 500;

/** @param createHandle returns a random handle that no user has */
export const createUsers = (database: Database, createHandle: () => string) => {
  /** Gives a handle to a user from before handles existed. A user who has one keeps it. */
  const giveHandle = (id: number, within = database) =>
    within.write('UPDATE users SET handle = ? WHERE id = ? AND handle IS NULL AND erased_at IS NULL', [
      createHandle(),
      id,
    ]);

  /** Reads users, and once more if one of them had no handle before. The columns contain `id` and `handle`. */
  const selectGiving = async (sql: string, values: readonly Value[]): Promise<Row[]> => {
    const rows = await database.select(sql, values);
    const without = rows.filter(({ handle }) => handle === null);
    if (without.length === 0) return rows;
    for (const { id } of without) await giveHandle(id);
    return database.select(sql, values);
  };

  const findProfile = async (id: number): Promise<Profile | undefined> => {
    const [row] = await selectGiving(
      'SELECT id, name, email, handle FROM users WHERE id = ? AND erased_at IS NULL',
      [id],
    );
    return row === undefined ? undefined : { name: row.name, email: row.email, handle: row.handle };
  };

  const findByEmail = async (email: EmailAddress): Promise<User | undefined> => {
    const [row] = await selectGiving(
      'SELECT id, name, email, handle, password, token_generation FROM users WHERE email = ?',
      [email],
    );
    // utf8mb4_bin ignores trailing spaces in comparisons.
    if (row === undefined || row.email !== email) return undefined;
    return {
      id: row.id,
      name: row.name,
      email: row.email,
      handle: row.handle,
      passwordHash: row.password,
      generation: row.token_generation,
    };
  };

  /** The sign-up that had the same key less than a day ago. */
  const findSignUp = async ({ email, signUpKey, nowMs }: NewUser) => {
    const [row] = await database.select(
      'SELECT id, name, email, sign_up_request FROM users WHERE email = ? AND sign_up_key = ? AND created_at > ?',
      [email, signUpKey, toDateTime(nowMs - DAY_MS)],
    );
    return row;
  };

  return {
    ...createTokenGenerations(database),
    ...createAccountErasure(database),
    findByEmail,

    /** @returns the user of this id, who may be gone; gives a handle to one from before handles existed */
    findProfile,

    /** @returns the handles of these users, by id; gives one to users from before handles existed */
    findHandles: async (ids: readonly number[]): Promise<Map<number, string>> => {
      const rows = await selectGiving(
        `SELECT id, handle FROM users WHERE id IN (${placeholders(ids.length)}) AND erased_at IS NULL`,
        ids,
      );
      return new Map(rows.flatMap(({ id, handle }) => (handle === null ? [] : [[id, handle] as const])));
    },

    /**
     * Gives handles to the next users from before handles existed, in one short transaction. May run twice at once.
     * @returns how many users it found without a handle; 0 when every user has one
     */
    giveNextHandles: (): Promise<number> =>
      database.transaction(async (inner) => {
        const rows = await inner.select(
          'SELECT id FROM users WHERE handle IS NULL AND erased_at IS NULL LIMIT ?',
          [SLICE],
        );
        for (const { id } of rows) await giveHandle(id, inner);
        return rows.length;
      }),

    /**
     * @param isSameRequest compares a stored `signUpRequest` with this request, for every secret in use
     * @returns the new user, or the first answer if the same key and request arrive again within a day
     * @throws conflict if the address is taken; unprocessable if the key was used for another request
     */
    create: async (
      user: NewUser,
      isSameRequest: (signUpRequest: string) => Promise<boolean>,
    ): Promise<Profile> => {
      const handle = createHandle();
      const { name, email, passwordHash, signUpKey, signUpRequest, nowMs } = user;
      try {
        await database.write(
          'INSERT INTO users (name, email, handle, password, sign_up_key, sign_up_request, created_at) VALUES (?, ?, ?, ?, ?, ?, ?)',
          [name, email, handle, passwordHash, signUpKey, signUpRequest, toDateTime(nowMs)],
        );
        return { name, email, handle };
      } catch (error) {
        if (!(error instanceof Error && 'code' in error && error.code === 'ER_DUP_ENTRY')) throw error;
        const first = await findSignUp(user);
        if (first === undefined) {
          throw conflict('This e-mail address is taken.', error);
        }
        if (!(await isSameRequest(first.sign_up_request ?? ''))) {
          throw unprocessable('This Idempotency-Key was used for another request.');
        }
        const profile = await findProfile(first.id);
        if (profile === undefined) throw error;
        return profile;
      }
    },
  };
};

export type Users = ReturnType<typeof createUsers>;
