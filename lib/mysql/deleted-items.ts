import type { ChatReference } from '#lib/domain/reference.ts';
import { type Database, placeholders, toDateTime, type Value } from './connection/database.ts';

/** A deleted chat of which something may be left. */
export type DeletedChat = ChatReference & { id: number };

const HOUR_MS = 60 * 60 * 1000;
const DAY_MS = 24 * HOUR_MS;
const SOON_MS = 10 * 60 * 1000;
/** Chats that are erased together. */
const CHATS = 100;
/** The most rows that one statement removes. */
const ROWS = 1_000;

/** Finds and removes the remains of deleted applications and chats. `erase_at` of their rows is the whole state. */
export const createDeletedItems = (database: Database) => ({
  /**
   * Deletes the chats of a deleted application, a thousand at most.
   * @returns the number of changed rows; 0 if no deleted application is left
   */
  deleteChats: async (nowMs: number): Promise<number> => {
    const [application] = await database.select(
      'SELECT id, deleted_at FROM applications WHERE erase_at <= ? ORDER BY erase_at LIMIT 1',
      [toDateTime(nowMs)],
    );
    if (application === undefined) return 0;
    const at = toDateTime(application.deleted_at.getTime());
    const deleted = await database.write(
      `UPDATE chats SET title = NULL, deleted_at = ?, erase_at = ?, version = GREATEST(version, command_id) + 1
       WHERE application_id = ? AND deleted_at IS NULL ORDER BY number LIMIT ?`,
      [at, at, application.id, ROWS],
    );
    if (deleted === ROWS) return deleted;
    // No chat appears any more: a transaction that inserts one finds the application deleted.
    return (
      deleted +
      (await database.write('UPDATE applications SET erase_at = NULL WHERE id = ?', [application.id]))
    );
  },

  /** @returns the deleted chats that wait for the longest, at most a hundred */
  dueChats: async (nowMs: number): Promise<DeletedChat[]> => {
    const rows = await database.select(
      'SELECT id, token, number FROM chats WHERE erase_at <= ? ORDER BY erase_at LIMIT ?',
      [toDateTime(nowMs), CHATS],
    );
    return rows.map((row) => ({ id: row.id, token: row.token, chatNumber: row.number }));
  },

  /** Removes the rows of these chats, at most a thousand of each table. @returns the most of one table */
  removeRows: async (chats: readonly DeletedChat[]): Promise<number> => {
    const ids = chats.map(({ id }) => id);
    const ofChats = `chat_id IN (${placeholders(ids.length)})`;
    const places = chats.map(() => '(token = ? AND chat_number = ? AND number > 0)').join(' OR ');
    const statements: [sql: string, values: Value[]][] = [
      [`DELETE FROM messages WHERE ${ofChats} LIMIT ?`, ids],
      [`DELETE FROM message_deletions WHERE ${ofChats} LIMIT ?`, ids],
      [`DELETE FROM read_markers WHERE ${ofChats} LIMIT ?`, ids],
      [
        `DELETE FROM reservations WHERE ${places} LIMIT ?`,
        chats.flatMap(({ token, chatNumber }) => [token, chatNumber]),
      ],
    ];
    let most = 0;
    for (const [sql, values] of statements)
      most = Math.max(most, await database.write(sql, [...values, ROWS]));
    return most;
  },

  /**
   * Looks again, because a message that was on its way may have come back: every ten minutes within the first hour, then
   * each hour, and a day after the deletion for the last time.
   */
  postpone: async (chats: readonly DeletedChat[], nowMs: number): Promise<void> => {
    await database.write(
      `UPDATE chats SET erase_at = CASE WHEN deleted_at <= ? THEN NULL WHEN deleted_at <= ? THEN ? ELSE ? END
       WHERE id IN (${placeholders(chats.length)})`,
      [
        toDateTime(nowMs - DAY_MS),
        toDateTime(nowMs - HOUR_MS),
        toDateTime(nowMs + HOUR_MS),
        toDateTime(nowMs + SOON_MS),
        ...chats.map(({ id }) => id),
      ],
    );
  },
});

export type DeletedItems = ReturnType<typeof createDeletedItems>;
