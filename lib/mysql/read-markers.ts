import type { ReadMarker } from '#lib/domain/read-marker.ts';
import { chatReference } from '#lib/domain/reference.ts';
import { findChatIds } from './chats.ts';
import { type Database, placeholders, tuples } from './connection/database.ts';

export const createReadMarkers = (database: Database) => ({
  /** @returns the highest number that the user has read in each stored chat; 0 without a marker */
  find: async (
    userId: number,
    token: string,
    chatNumbers: readonly number[],
  ): Promise<Map<number, { marker: number }>> => {
    if (chatNumbers.length === 0) return new Map();
    const rows = await database.select(
      `SELECT c.number, m.number AS marker
       FROM chats c LEFT JOIN read_markers m ON m.user_id = ? AND m.chat_id = c.id
       WHERE c.token = ? AND c.number IN (${placeholders(chatNumbers.length)})`,
      [userId, token, ...chatNumbers],
    );
    return new Map(rows.map((row) => [row.number, { marker: row.marker ?? 0 }]));
  },

  /** Raises markers. @returns the markers whose chats exist */
  raise: async <Marker extends ReadMarker>(markers: readonly Marker[]): Promise<Marker[]> => {
    if (markers.length === 0) return [];
    const ids = await findChatIds(database, markers);
    const stored = markers.flatMap((marker) => {
      const chatId = ids.get(chatReference(marker));
      return chatId === undefined ? [] : [{ chatId, marker }];
    });
    // A marker of 0 has expired in Redis. Nothing is left to store.
    const values = stored.flatMap(({ chatId, marker: { userId, number } }) =>
      number === 0 ? [] : [[userId, chatId, number]],
    );
    if (values.length > 0) {
      await database.write(
        `INSERT INTO read_markers (user_id, chat_id, number) VALUES ${tuples(values.length, 3)}
         ON DUPLICATE KEY UPDATE number = GREATEST(number, VALUES(number))`,
        values.flat(),
      );
    }
    return stored.map(({ marker }) => marker);
  },
});

export type ReadMarkers = ReturnType<typeof createReadMarkers>;
