import type { CreateApplication, UpdateApplication } from '#lib/contracts/commands.ts';
import type { Placed } from '#lib/domain/batch.ts';
import { type Database, keepWhatIsThere, placeholders, toDateTime, tuples } from './database.ts';

export type ApplicationRow = { token: string; name: string; chatsCount: number; creatorId: number };

export const createApplications = (database: Database) => ({
  /** Inserts what is not there; the same token from another command is a collision. */
  insert: async (batch: readonly CreateApplication[]): Promise<Placed<CreateApplication>> => {
    const placed: Placed<CreateApplication> = { done: [], defer: [], dead: [] };
    if (batch.length === 0) return placed;
    const known = await knownUsers(
      database,
      batch.map(({ creatorId }) => creatorId),
    );
    const candidates = batch.filter((command) => {
      if (known.has(command.creatorId)) return true;
      placed.dead.push({ command, reason: 'unknown creator' });
      return false;
    });
    if (candidates.length === 0) return placed;
    await database.write(
      `INSERT INTO applications (token, name, created_at, updated_at, creator_id, command_id, version)
       VALUES ${tuples(candidates.length, 7)} ${keepWhatIsThere}`,
      candidates.flatMap((command) => {
        const at = toDateTime(Date.parse(command.date));
        return [command.token, command.name, at, at, command.creatorId, command.commandId, command.commandId];
      }),
    );
    const rows = await database.select(
      `SELECT token, name, creator_id, command_id, version FROM applications
       WHERE token IN (${placeholders(candidates.length)})`,
      candidates.map(({ token }) => token),
    );
    const owner = new Map(rows.map((row) => [row.token, row]));
    for (const command of candidates) {
      const row = owner.get(command.token);
      // Two commands without an id of their own may have the same date: then what they say tells them apart.
      const isOurs =
        row?.command_id === command.commandId &&
        row?.creator_id === command.creatorId &&
        (row?.version !== row?.command_id || row?.name === command.name);
      if (isOurs) placed.done.push(command);
      else placed.dead.push({ command, reason: 'the token belongs to another command' });
    }
    return placed;
  },

  /** Applies the newest of each; one whose application is not there yet is deferred. */
  update: async (batch: readonly UpdateApplication[]): Promise<Placed<UpdateApplication>> => {
    const placed: Placed<UpdateApplication> = { done: [], defer: [], dead: [] };
    if (batch.length === 0) return placed;
    const rows = await database.select(
      `SELECT id, token, created_at, creator_id, command_id FROM applications
       WHERE token IN (${placeholders(batch.length)})`,
      batch.map(({ token }) => token),
    );
    const byToken = new Map(rows.map((row) => [row.token, row]));
    const newest = new Map<string, UpdateApplication>();
    for (const command of batch) {
      if (!byToken.has(command.token)) {
        placed.defer.push({ command, reason: 'its application is not stored yet' });
        continue;
      }
      placed.done.push(command);
      const other = newest.get(command.token);
      if (other === undefined || other.commandId < command.commandId) newest.set(command.token, command);
    }
    if (newest.size === 0) return placed;
    // The rows are there and are never deleted: the insert always takes its second branch. `version` is set last,
    // since MySQL evaluates from left to right.
    await database.write(
      `INSERT INTO applications (id, token, name, created_at, updated_at, creator_id, command_id, version)
       VALUES ${tuples(newest.size, 8)}
       ON DUPLICATE KEY UPDATE
         name = IF(VALUES(version) > version, VALUES(name), name),
         updated_at = IF(VALUES(version) > version, VALUES(updated_at), updated_at),
         version = GREATEST(version, VALUES(version))`,
      [...newest.values()].flatMap((command) => {
        const row = byToken.get(command.token);
        return [
          row?.id,
          command.token,
          command.name,
          toDateTime(row?.created_at.getTime()),
          toDateTime(Date.parse(command.date)),
          row?.creator_id,
          row?.command_id,
          command.commandId,
        ];
      }),
    );
    return placed;
  },

  find: async (token: string): Promise<ApplicationRow | undefined> => {
    const [row] = await database.select(
      'SELECT token, name, chats_count, creator_id FROM applications WHERE token = ?',
      [token],
    );
    return row && toApplication(row);
  },

  /** A user's own, newest first, without those named. */
  listByCreator: async (
    creatorId: number,
    { skip, count, except }: { skip: number; count: number; except: readonly string[] },
  ): Promise<ApplicationRow[]> => {
    const without = except.length === 0 ? '' : ` AND token NOT IN (${placeholders(except.length)})`;
    const rows = await database.select(
      `SELECT a.token, a.name, a.chats_count, a.creator_id
       FROM (SELECT id FROM applications WHERE creator_id = ?${without} ORDER BY id DESC LIMIT ? OFFSET ?) page
       JOIN applications a ON a.id = page.id ORDER BY a.id DESC`,
      [creatorId, ...except, count, skip],
    );
    return rows.map(toApplication);
  },

  /** Raises counts. @returns those that are stored now */
  raiseChatsCounts: async <Count extends { token: string; count: number }>(
    counts: readonly Count[],
  ): Promise<Count[]> => {
    if (counts.length === 0) return [];
    // Asked before the update: one that is stored between the two would be told raised, and keep its old count.
    const rows = await database.select(
      `SELECT token FROM applications WHERE token IN (${placeholders(counts.length)})`,
      counts.map(({ token }) => token),
    );
    const known = new Set(rows.map((row) => row.token));
    const stored = counts.filter(({ token }) => known.has(token));
    if (stored.length === 0) return [];
    await database.write(
      `UPDATE applications
       SET chats_count = GREATEST(chats_count, CASE token ${stored.map(() => 'WHEN ? THEN ?').join(' ')} END)
       WHERE token IN (${placeholders(stored.length)})`,
      [...stored.flatMap(({ token, count }) => [token, count]), ...stored.map(({ token }) => token)],
    );
    return stored;
  },

  /** The highest chat number of each application, after the application `afterId`: for recovering the counters. */
  highestChatNumbers: async (
    afterId: number,
    count: number,
  ): Promise<{ id: number; token: string; highest: number; chatsCount: number }[]> => {
    // Ordered by the whole of the index: by the number alone MySQL would read every chat of an application, and sort.
    const rows = await database.select(
      `SELECT a.id, a.token, a.chats_count,
         (SELECT c.number FROM chats c WHERE c.application_id = a.id
          ORDER BY c.application_id DESC, c.number DESC LIMIT 1) AS highest
       FROM applications a WHERE a.id > ? ORDER BY a.id LIMIT ?`,
      [afterId, count],
    );
    return rows.map((row) => ({
      id: row.id,
      token: row.token,
      highest: row.highest ?? 0,
      chatsCount: row.chats_count,
    }));
  },
});

const toApplication = (row: {
  [column: string]: unknown;
  token?: string;
  name?: string;
  chats_count?: number;
  creator_id?: number;
}): ApplicationRow => ({
  token: row.token ?? '',
  name: row.name ?? '',
  chatsCount: row.chats_count ?? 0,
  creatorId: row.creator_id ?? 0,
});

/** Names of those users that exist. */
export const knownUsers = async (
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

export type Applications = ReturnType<typeof createApplications>;
