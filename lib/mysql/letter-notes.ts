import { type Database, placeholders, toDateTime, tuples } from './connection/database.ts';

/** RabbitMQ redelivers a command within minutes. A week also covers a broker that is restored from a backup. */
const KEPT_MS = 7 * 24 * 60 * 60 * 1000;
/** The most rows that one call removes. */
const REMOVED = 1_000;

/** Remembers by digest which dead letters were published. */
export const createLetterNotes = (database: Database) => ({
  /** @returns the noted ones among the digests */
  findNoted: async (digests: readonly string[]): Promise<Set<string>> => {
    if (digests.length === 0) return new Set();
    const rows = await database.select(
      `SELECT digest FROM dead_letters WHERE digest IN (${placeholders(digests.length)})`,
      digests,
    );
    return new Set(rows.map((row) => row.digest));
  },

  /** Notes letters that the broker has confirmed, and removes notes that are older than a week. */
  add: async (digests: readonly string[]): Promise<void> => {
    if (digests.length === 0) return;
    const nowMs = Date.now();
    await database.write(
      `INSERT INTO dead_letters (digest, published_at) VALUES ${tuples(digests.length, 2)}
       ON DUPLICATE KEY UPDATE published_at = published_at`,
      digests.flatMap((digest) => [digest, toDateTime(nowMs)]),
    );
    await database.write('DELETE FROM dead_letters WHERE published_at < ? ORDER BY published_at LIMIT ?', [
      toDateTime(nowMs - KEPT_MS),
      REMOVED,
    ]);
  },
});

export type LetterNotes = ReturnType<typeof createLetterNotes>;
