import type { ReadMarker } from '#lib/domain/read-marker.ts';
import { chatReference } from '#lib/domain/reference.ts';
import { findChatIds, findOrphans } from './chats.ts';
import { type Database, literals, placeholders } from './connection/database.ts';

/** A reader's stored chat. `newestDeleted`: the highest number of a deleted message, or 0. */
export type MarkedChat = { chatId: number; marker: number; newestDeleted: number };
/** Numbers of a chat: above `from`, up to `to`. */
export type NumberRange = { chatId: number; from: number; to: number };

export const createReadMarkers = (database: Database) => ({
  /** @returns the stored chats by number; `marker` is the highest number that the user has read, or 0 */
  find: async (
    userId: number,
    token: string,
    chatNumbers: readonly number[],
  ): Promise<Map<number, MarkedChat>> => {
    if (chatNumbers.length === 0) return new Map();
    const rows = await database.select(
      // The order names both columns of the index, so that MySQL reads one entry.
      `SELECT c.number, c.id, m.number AS marker,
         (SELECT d.number FROM message_deletions d WHERE d.chat_id = c.id
          ORDER BY d.chat_id DESC, d.number DESC LIMIT 1) AS newest_deleted
       FROM chats c LEFT JOIN read_markers m ON m.user_id = ? AND m.chat_id = c.id
       WHERE c.token = ? AND c.number IN (${placeholders(chatNumbers.length)})`,
      [userId, token, ...chatNumbers],
    );
    return new Map(
      rows.map((row) => [
        row.number,
        { chatId: row.id, marker: row.marker ?? 0, newestDeleted: row.newest_deleted ?? 0 },
      ]),
    );
  },

  /** @returns how many messages of each range are deleted, by chat */
  countDeleted: async (ranges: readonly NumberRange[]): Promise<Map<number, number>> => {
    if (ranges.length === 0) return new Map();
    const rows = await database.select(
      `SELECT chat_id, COUNT(*) AS count FROM message_deletions
       WHERE ${ranges.map(() => '(chat_id = ? AND number > ? AND number <= ?)').join(' OR ')} GROUP BY chat_id`,
      ranges.flatMap(({ chatId, from, to }) => [chatId, from, to]),
    );
    return new Map(rows.map((row) => [row.chat_id, row.count]));
  },

  /**
   * Raises markers of users whose accounts are not erased, in one statement: an erasure comes before or after it, and removes
   * the markers from before. @returns the markers that need no further write: those of stored chats, expired ones, and
   * those of chats that are never stored, because their application is deleted
   */
  raise: async <Marker extends ReadMarker>(markers: readonly Marker[]): Promise<Marker[]> => {
    if (markers.length === 0) return [];
    const ids = await findChatIds(database, markers);
    const stored = markers.flatMap((marker) => {
      const chatId = ids.get(chatReference(marker));
      return chatId === undefined ? [] : [{ chatId, marker }];
    });
    // A marker of 0 has expired in Redis, perhaps before its chat was stored. Nothing is left to store.
    const values = stored.flatMap(({ chatId, marker: { userId, number } }) =>
      number === 0 ? [] : [[userId, chatId, number]],
    );
    if (values.length > 0) {
      await database.write(
        `INSERT INTO read_markers (user_id, chat_id, number)
         SELECT r.reader, r.chat, r.marker FROM ${literals(['reader', 'chat', 'marker'], values.length)} r
           STRAIGHT_JOIN users u ON u.id = r.reader WHERE u.erased_at IS NULL
         ON DUPLICATE KEY UPDATE number = GREATEST(read_markers.number, VALUES(number))`,
        values.flat(),
      );
    }
    const orphans = await findOrphans(
      database,
      markers.filter((marker) => !ids.has(chatReference(marker))),
    );
    return markers.filter(
      (marker) => marker.number === 0 || ids.has(chatReference(marker)) || orphans.has(marker),
    );
  },
});

export type ReadMarkers = ReturnType<typeof createReadMarkers>;
