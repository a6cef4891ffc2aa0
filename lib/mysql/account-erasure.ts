import { DELETED_USER } from '#lib/domain/message.ts';
import type { Database } from './connection/database.ts';

/** Markers that one statement removes. */
const MARKERS = 1_000;
/** Requests and syncs that began before an erasure have ended by then. */
const SETTLED_SECONDS = 5 * 60;

/** Erases accounts in steps: first what identifies the user, then what remains once all messages are blank. */
export const createAccountErasure = (database: Database) => ({
  /**
   * Erases the account that `user` was read from: nobody can sign in, the address is free, and all access tokens end. Its
   * messages, its name and its handle follow.
   * @returns the present generation; undefined if the password is another one by now
   */
  erase: ({ id, passwordHash }: { id: number; passwordHash: string }): Promise<number | undefined> =>
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
    const markers = await database.write('DELETE FROM read_markers WHERE user_id = ? LIMIT ?', [id, MARKERS]);
    if (markers > 0) return markers;
    return database.write(
      `UPDATE users SET name = ?, handle = NULL, erasing = NULL
         WHERE id = ? AND erasing = TRUE AND erased_at < UTC_TIMESTAMP(3) - INTERVAL ? SECOND`,
      [DELETED_USER, id, SETTLED_SECONDS],
    );
  },
});
