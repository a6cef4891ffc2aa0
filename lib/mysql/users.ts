import type { EmailAddress } from '#lib/domain/email-address.ts';
import { conflict, unprocessable } from '#lib/domain/errors.ts';
import { DELETED_USER } from '#lib/domain/message.ts';
import {
  type Database,
  placeholders,
  type Row,
  toDateTime,
  toMs,
  type Value,
} from './connection/database.ts';

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

/** The generation of a user's access tokens. */
type Generation = { id: number; generation: number };
export type RaisedGeneration = Generation & { raisedAtMs: number };

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

/** Markers that one statement removes. */
const MARKERS = 1_000;
/** Requests and syncs that began before an erasure have ended by then. */
const SETTLED_SECONDS = 5 * 60;
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

  const findGenerations = async (ids: readonly number[], within = database): Promise<Map<number, number>> => {
    const rows = await within.select(
      `SELECT id, token_generation FROM users WHERE id IN (${placeholders(ids.length)})`,
      ids,
    );
    return new Map(rows.map((row) => [row.id, row.token_generation]));
  };

  return {
    findByEmail,

    /** @returns the present generations of the access tokens of these users, by id; none for a user who is gone */
    findGenerations,

    /**
     * Ends the access tokens up to this generation, unless they have ended. A repetition ends no later token.
     * @returns the present generation
     */
    endTokens: ({ id, generation }: Generation): Promise<number> =>
      database.transaction(async (transaction) => {
        await transaction.write(
          `UPDATE users SET token_generation = ?, generation_at = UTC_TIMESTAMP(3)
           WHERE id = ? AND token_generation <= ?`,
          [generation + 1, id, generation],
        );
        return (await findGenerations([id], transaction)).get(id) ?? generation + 1;
      }),

    /**
     * Writes a new password in the place of the one that `user` was read with, and ends all access tokens.
     * @returns the present generation; undefined if the password is another one by now
     */
    changePassword: (
      { id, passwordHash }: Pick<User, 'id' | 'passwordHash'>,
      newHash: string,
    ): Promise<number | undefined> =>
      database.transaction(async (transaction) => {
        await transaction.write(
          `UPDATE users SET password = ?, token_generation = token_generation + 1, generation_at = UTC_TIMESTAMP(3)
           WHERE id = ? AND password = ?`,
          [newHash, id, passwordHash],
        );
        // The statement may have run before, over a connection that was lost. Each hash has a salt of its own.
        const [row] = await transaction.select(
          'SELECT token_generation FROM users WHERE id = ? AND password = ?',
          [id, newHash],
        );
        return row?.token_generation;
      }),

    /**
     * Erases the account that `user` was read from: nobody can sign in, the address is free, and all access tokens end. Its
     * messages, its name and its handle follow.
     * @returns the present generation; undefined if the password is another one by now
     */
    erase: ({ id, passwordHash }: Pick<User, 'id' | 'passwordHash'>): Promise<number | undefined> =>
      database.transaction(async (transaction) => {
        await transaction.write(
          `UPDATE users SET email = NULL, password = NULL, sign_up_key = NULL, sign_up_request = NULL,
             token_generation = token_generation + 1, generation_at = UTC_TIMESTAMP(3),
             erased_at = UTC_TIMESTAMP(3), erasing = TRUE
           WHERE id = ? AND password = ?`,
          [id, passwordHash],
        );
        // The statement may have run before, over a connection that was lost.
        const [row] = await transaction.select(
          'SELECT token_generation FROM users WHERE id = ? AND erased_at IS NOT NULL',
          [id],
        );
        return row?.token_generation;
      }),

    /** Accounts whose erasure is not finished, the oldest first. */
    findErasing: async (count: number): Promise<number[]> => {
      const rows = await database.select(
        'SELECT id FROM users WHERE erasing = TRUE ORDER BY erased_at LIMIT ?',
        [count],
      );
      return rows.map((row) => row.id);
    },

    /**
     * Removes the last of an erased account: its read markers, name and handle. It waits for requests and syncs from before
     * the erasure. @returns the removed items; 0 for an account that was erased a moment ago
     */
    finishErasure: async (id: number): Promise<number> => {
      const markers = await database.write('DELETE FROM read_markers WHERE user_id = ? LIMIT ?', [
        id,
        MARKERS,
      ]);
      if (markers > 0) return markers;
      return database.write(
        `UPDATE users SET name = ?, handle = NULL, erasing = NULL
         WHERE id = ? AND erasing = TRUE AND erased_at < UTC_TIMESTAMP(3) - INTERVAL ? SECOND`,
        [DELETED_USER, id, SETTLED_SECONDS],
      );
    },

    /** Users whose generation rose in the last `seconds`, in the order of that, after the `last` one of a page before. */
    findRaised: async (
      seconds: number,
      count: number,
      last?: RaisedGeneration,
    ): Promise<RaisedGeneration[]> => {
      const rows = await database.select(
        `SELECT id, token_generation, generation_at FROM users
         WHERE generation_at > UTC_TIMESTAMP(3) - INTERVAL ? SECOND
           AND (generation_at > ? OR (generation_at = ? AND id > ?))
         ORDER BY generation_at, id LIMIT ?`,
        [seconds, ...Array(2).fill(toDateTime(last?.raisedAtMs ?? 0)), last?.id ?? 0, count],
      );
      return rows.map((row) => ({
        id: row.id,
        generation: row.token_generation,
        raisedAtMs: toMs(row.generation_at),
      }));
    },

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
