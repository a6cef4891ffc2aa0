import { type Database, placeholders, toDateTime, toMs } from './connection/database.ts';

/** The generation of a user's access tokens. */
type Generation = { id: number; generation: number };
export type RaisedGeneration = Generation & { raisedAtMs: number };

/** The generations of the access tokens of users. A token of an earlier one has ended. */
export const createTokenGenerations = (database: Database) => {
  const findGenerations = async (ids: readonly number[], within = database): Promise<Map<number, number>> => {
    const rows = await within.select(
      `SELECT id, token_generation FROM users WHERE id IN (${placeholders(ids.length)})`,
      ids,
    );
    return new Map(rows.map((row) => [row.id, row.token_generation]));
  };

  return {
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
      { id, passwordHash }: { id: number; passwordHash: string },
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
  };
};
