import type { ChatReference } from '#lib/domain/reference.ts';
import { type Database, placeholders, type Row, toDateTime, type Value } from './connection/database.ts';

/** A deleted chat of which something may be left. */
export type DeletedChat = ChatReference & { id: number };

const HOUR_MS = 60 * 60 * 1000;
const DAY_MS = 24 * HOUR_MS;
const SOON_MS = 10 * 60 * 1000;
/** Chats that are erased together. */
const CHATS = 100;
/** The most rows that one statement removes. */
const ROWS = 1_000;

/** The chats of a deleted application up to this number are deleted. */
export type Place = { applicationId: number; chatNumber: number };

/**
 * Finds and removes the remains of deleted applications and chats. `erase_at` of their rows, and `unindex_at` for the index, are
 * the whole state.
 */
export const createDeletedItems = (database: Database) => ({
  /**
   * Deletes the chats of a deleted application, a thousand at most.
   * @param place where the call before has ended, so that no call reads the chats of those before
   * @returns where this call has ended, and how many chats and applications are erased; undefined if no deleted application is left
   */
  deleteChats: async (
    nowMs: number,
    place: Place | undefined,
  ): Promise<(Place & { erased: number }) | undefined> => {
    const [application] = await database.select(
      'SELECT id, deleted_at FROM applications WHERE erase_at <= ? ORDER BY erase_at, id LIMIT 1',
      [toDateTime(nowMs)],
    );
    if (application === undefined) return undefined;
    const applicationId: number = application.id;
    const after = place?.applicationId === applicationId ? place.chatNumber : 0;
    const chats = await database.select(
      'SELECT id, number FROM chats WHERE application_id = ? AND number > ? AND deleted_at IS NULL ORDER BY number LIMIT ?',
      [applicationId, after, ROWS],
    );
    const last = chats.at(-1);
    const at = toDateTime(application.deleted_at.getTime());
    if (last !== undefined)
      await database.write(
        `UPDATE chats SET title = NULL, deleted_at = ?, erase_at = ?, version = GREATEST(version, command_id) + 1
         WHERE id IN (${placeholders(chats.length)}) AND deleted_at IS NULL`,
        [at, at, ...chats.map((row) => row.id)],
      );
    // No chat appears any more: a transaction that inserts one finds the application deleted.
    const isLast = chats.length < ROWS;
    if (isLast) await database.write('UPDATE applications SET erase_at = NULL WHERE id = ?', [applicationId]);
    return {
      applicationId,
      chatNumber: last?.number ?? after,
      erased: chats.length + (isLast ? 1 : 0),
    };
  },

  /** @returns the deleted chats that wait for the longest, at most a hundred */
  dueChats: async (nowMs: number): Promise<DeletedChat[]> => {
    const rows = await database.select(
      'SELECT id, token, number FROM chats WHERE erase_at <= ? ORDER BY erase_at, id LIMIT ?',
      [toDateTime(nowMs), CHATS],
    );
    return rows.map(toChat);
  },

  /** Removes the rows of these chats, at most a thousand of each table. @returns the most of one table */
  removeRows: async (chats: readonly DeletedChat[]): Promise<number> => {
    const ids = chats.map(({ id }) => id);
    const ofChats = `chat_id IN (${placeholders(ids.length)})`;
    const places = chats.map(() => '(token = ? AND chat_number = ? AND number > 0)').join(' OR ');
    const feeds = await database.select(
      `SELECT application_id, number FROM chats WHERE id IN (${placeholders(ids.length)})`,
      ids,
    );
    const ofFeeds = feeds.map(() => '(application_id = ? AND chat_number = ?)').join(' OR ');
    const statements: [sql: string, values: Value[]][] = [
      [`DELETE FROM messages WHERE ${ofChats} LIMIT ?`, ids],
      [`DELETE FROM message_deletions WHERE ${ofChats} LIMIT ?`, ids],
      [`DELETE FROM read_markers WHERE ${ofChats} LIMIT ?`, ids],
      // A reader of the application's feed must hear of the deletion itself.
      [
        `DELETE FROM changes WHERE (${ofFeeds}) AND type <> 'chat.deleted' LIMIT ?`,
        feeds.flatMap((row) => [row.application_id, row.number]),
      ],
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
   * Asks for the removal of these chats from the index, and looks again, because a message that was on its way may have come
   * back: every ten minutes within the first hour, then each hour, and a day after the deletion for the last time.
   */
  postpone: async (chats: readonly DeletedChat[], nowMs: number): Promise<void> => {
    await database.write(
      `UPDATE chats SET unindex_at = ?,
         erase_at = CASE WHEN deleted_at <= ? THEN NULL WHEN deleted_at <= ? THEN ? ELSE ? END
       WHERE id IN (${placeholders(chats.length)})`,
      [
        toDateTime(nowMs),
        toDateTime(nowMs - DAY_MS),
        toDateTime(nowMs - HOUR_MS),
        toDateTime(nowMs + HOUR_MS),
        toDateTime(nowMs + SOON_MS),
        ...chats.map(({ id }) => id),
      ],
    );
  },

  /** @returns the chats that wait for their removal from the index for the longest, at most a hundred */
  indexedChats: async (nowMs: number): Promise<DeletedChat[]> => {
    const rows = await database.select(
      'SELECT id, token, number FROM chats WHERE unindex_at <= ? ORDER BY unindex_at, id LIMIT ?',
      [toDateTime(nowMs), CHATS],
    );
    return rows.map(toChat);
  },

  /** Notes that the index has none of these chats, as it was asked for until `nowMs`. */
  noteUnindexed: async (chats: readonly DeletedChat[], nowMs: number): Promise<void> => {
    await database.write(
      `UPDATE chats SET unindex_at = NULL WHERE id IN (${placeholders(chats.length)}) AND unindex_at <= ?`,
      [...chats.map(({ id }) => id), toDateTime(nowMs)],
    );
  },
});

const toChat = (row: Row): DeletedChat => ({ id: row.id, token: row.token, chatNumber: row.number });

export type DeletedItems = ReturnType<typeof createDeletedItems>;
