import type { Read } from '#lib/contracts/commands/command.ts';
import { createApplicationCommand } from '#lib/contracts/commands/create-application.ts';
import { updateApplicationCommand } from '#lib/contracts/commands/update-application.ts';
import type { Outcome } from '#lib/domain/batch.ts';
import { findApplicationIds } from './application-ids.ts';
import { insertChanges } from './changes.ts';
import { type Database, literals, placeholders, toDateTime, toMs } from './connection/database.ts';
import { storeCreations } from './creations.ts';
import { type Deletion, deletionRounds, isMeant, newestOf } from './edits.ts';
import { recordHandled } from './progress.ts';

type Creation = Read<typeof createApplicationCommand>;
type Edit = Read<typeof updateApplicationCommand>;

export type ApplicationRow = {
  token: string;
  name: string;
  chatsCount: number;
  creatorId: number;
  version: number;
};

/** An application as its creation leaves it, and the command that created it. */
type Created = {
  token: string;
  name: string;
  creatorId: number;
  createdAtMs: number;
  commandId: number;
  version: number;
  isDeleted: boolean;
};

const creations = {
  name: 'applications',
  columns: ['token', 'name', 'created_at', 'updated_at', 'creator_id', 'command_id', 'version'],
  toValues: ({ token, name, createdAtMs, creatorId, commandId, version }: Created) => {
    const at = toDateTime(createdAtMs);
    return [token, name, at, at, creatorId, commandId, version];
  },
  toRow: ({ token, name, creatorId, createdAtMs, commandId, version }: Creation): Created => ({
    token,
    name,
    creatorId,
    createdAtMs,
    commandId,
    version,
    isDeleted: false,
  }),
  ownerId: ({ creatorId }: Creation) => creatorId,
  owner: 'creator' as const,
  reference: ({ token }: Creation) => token,
  findRows: async (database: Database, commands: readonly Creation[]) => {
    const rows = await database.select(
      `SELECT token, name, created_at, creator_id, command_id, version, deleted_at IS NOT NULL AS deleted FROM applications
       WHERE token IN (${placeholders(commands.length)})`,
      commands.map(({ token }) => token),
    );
    return new Map(
      rows.map((row): [string, Created] => [
        row.token,
        {
          token: row.token,
          name: row.name,
          creatorId: row.creator_id,
          createdAtMs: toMs(row.created_at),
          commandId: row.command_id,
          version: row.version,
          isDeleted: row.deleted === 1,
        },
      ]),
    );
  },
  isOf: (command: Creation, row: Created) =>
    row.commandId === command.commandId &&
    row.creatorId === command.creatorId &&
    (row.version !== row.commandId || row.name === command.name),
  isDeleted: ({ isDeleted }: Created) => isDeleted,
};

/** Writes names that are newer than their rows. It cannot insert, so it never brings an erased row back. */
const rename = async (database: Database, edits: readonly (Edit & { id: number })[]): Promise<void> => {
  if (edits.length === 0) return;
  await database.write(
    `UPDATE applications a JOIN ${literals(['id', 'name', 'at', 'version'], edits.length)} e ON e.id = a.id
     SET a.name = e.name, a.updated_at = e.at, a.version = e.version
     WHERE e.version > a.version AND a.deleted_at IS NULL`,
    edits.flatMap(({ id, name = null, editedAtMs, version }) => [id, name, toDateTime(editedAtMs), version]),
  );
};

/** Blanks rows, each once. */
const blankRows = async (database: Database, deletions: readonly Deletion[]): Promise<void> => {
  if (deletions.length === 0) return;
  await database.write(
    `UPDATE applications a JOIN ${literals(['id', 'at', 'version', 'created_before'], deletions.length)} d ON d.id = a.id
     SET a.name = '', a.deleted_at = d.at, a.erase_at = d.at, a.updated_at = d.at,
       a.version = GREATEST(a.version + 1, d.version)
     WHERE ${isMeant('a', 'd.created_before')}`,
    deletions.flatMap(({ id, editedAtMs, version, before }) => [id, toDateTime(editedAtMs), version, before]),
  );
};

/** @returns those of the ids whose rows are deleted now. The rows cannot change until the transaction ends */
const findDeleted = async (transaction: Database, ids: readonly number[]): Promise<Set<number>> => {
  if (ids.length === 0) return new Set();
  const rows = await transaction.select(
    `SELECT id, deleted_at IS NOT NULL AS deleted FROM applications
     WHERE id IN (${placeholders(ids.length)}) LOCK IN SHARE MODE`,
    ids,
  );
  return new Set(rows.flatMap((row) => (row.deleted === 1 ? [row.id] : [])));
};

type FoundApplication = ApplicationRow & { isDeleted: boolean };

const findAll = async (
  database: Database,
  tokens: readonly string[],
): Promise<Map<string, FoundApplication>> => {
  if (tokens.length === 0) return new Map();
  const rows = await database.select(
    `SELECT token, name, chats_count, creator_id, version, deleted_at IS NOT NULL AS deleted
     FROM applications WHERE token IN (${placeholders(tokens.length)})`,
    tokens,
  );
  return new Map(rows.map((row) => [row.token, { ...toApplication(row), isDeleted: row.deleted === 1 }]));
};

export const createApplications = (database: Database) => ({
  /** Stores new applications. */
  insert: async <Command extends Creation>(batch: readonly Command[]): Promise<Outcome<Command>> => {
    const { stored, ...others } = await storeCreations(database, createApplicationCommand, creations, batch);
    return { ...others, stored: stored.map(({ command }) => command) };
  },

  /**
   * Applies the newest name of each application, and then its first deletion. A command whose application is not stored yet is
   * deferred. A name of a deleted application is dropped.
   */
  update: async <Command extends Edit>(
    batch: readonly Command[],
  ): Promise<Outcome<Command, Command & { isDeleted: boolean }>> => {
    const ids = await findApplicationIds(
      database,
      batch.map(({ token }) => token),
    );
    const idOf = ({ token }: Edit) => ids.get(token);
    const { names = [], deletions = [] } = Object.groupBy(batch, ({ deleted }) =>
      deleted ? 'deletions' : 'names',
    );
    return database.transaction(async (transaction) => {
      await rename(transaction, newestOf(names, idOf));
      for (const round of deletionRounds(deletions, idOf)) await blankRows(transaction, round);
      const deleted = await findDeleted(transaction, [...ids.values()]);
      const outcome: Required<Outcome<Command, Command & { isDeleted: boolean }>> = {
        stored: [],
        deferred: [],
        dead: [],
        dropped: [],
      };
      for (const command of batch) {
        const id = idOf(command);
        const isDeleted = id !== undefined && deleted.has(id);
        if (id === undefined) outcome.deferred.push({ command, reason: 'its application is not stored yet' });
        else if (isDeleted && !command.deleted) outcome.dropped.push(command);
        else outcome.stored.push({ ...command, isDeleted });
      }
      await insertChanges(transaction, updateApplicationCommand, outcome.stored);
      await recordHandled(transaction, updateApplicationCommand, batch, outcome);
      return outcome;
    });
  },

  /** @returns those of the tokens whose applications are stored */
  storedAmong: async (tokens: readonly string[]): Promise<ReadonlySet<string>> => {
    if (tokens.length === 0) return new Set();
    return new Set((await findApplicationIds(database, tokens)).keys());
  },

  /** Blanks the row of a deleted application. Its command follows, so a row that is not stored yet may be missing. */
  blank: async (
    token: string,
    { deletedAtMs, commandId }: { deletedAtMs: number; commandId: number },
  ): Promise<void> => {
    const id = (await findApplicationIds(database, [token])).get(token);
    if (id === undefined) return;
    await blankRows(database, [{ id, editedAtMs: deletedAtMs, version: commandId, before: commandId }]);
  },

  /** The rows of these applications, by their tokens. */
  findAll: (tokens: readonly string[]): Promise<ReadonlyMap<string, FoundApplication>> =>
    findAll(database, tokens),

  find: async (token: string): Promise<FoundApplication | undefined> =>
    (await findAll(database, [token])).get(token),

  /** The applications of a user, newest first, without the given tokens. */
  listByCreator: async (
    creatorId: number,
    { skip, count, except }: { skip: number; count: number; except: readonly string[] },
  ): Promise<ApplicationRow[]> => {
    const without = except.length === 0 ? '' : ` AND token NOT IN (${placeholders(except.length)})`;
    const rows = await database.select(
      `SELECT a.token, a.name, a.chats_count, a.creator_id, a.version
       FROM (SELECT id FROM applications WHERE creator_id = ? AND deleted_at IS NULL${without} ORDER BY id DESC LIMIT ? OFFSET ?) page
       JOIN applications a ON a.id = page.id ORDER BY a.id DESC`,
      [creatorId, ...except, count, skip],
    );
    return rows.map(toApplication);
  },

  /** Raises counts. @returns the counts whose applications exist */
  raiseChatsCounts: async <Count extends { token: string; count: number }>(
    counts: readonly Count[],
  ): Promise<Count[]> => {
    if (counts.length === 0) return [];
    // The query runs before the update. In the other order, an application inserted in between would be reported as
    // raised although it keeps its old count.
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
  ): Promise<{ id: number; token: string; highest: number | 'deleted'; chatsCount: number }[]> => {
    // The order names every column of the index. For the number alone, MySQL would read and sort every chat.
    const rows = await database.select(
      `SELECT a.id, a.token, a.chats_count, a.deleted_at IS NOT NULL AS deleted,
         (SELECT c.number FROM chats c WHERE c.application_id = a.id
          ORDER BY c.application_id DESC, c.number DESC LIMIT 1) AS highest
       FROM applications a WHERE a.id > ? ORDER BY a.id LIMIT ?`,
      [afterId, count],
    );
    return rows.map((row) => ({
      id: row.id,
      token: row.token,
      highest: row.deleted === 1 ? 'deleted' : (row.highest ?? 0),
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
  version?: number;
}): ApplicationRow => ({
  token: row.token ?? '',
  name: row.name ?? '',
  chatsCount: row.chats_count ?? 0,
  creatorId: row.creator_id ?? 0,
  version: row.version ?? 0,
});

export type Applications = ReturnType<typeof createApplications>;
