import type { Read } from '#lib/contracts/commands/command.ts';
import { createChatCommand } from '#lib/contracts/commands/create-chat.ts';
import { updateChatCommand } from '#lib/contracts/commands/update-chat.ts';
import type { Outcome } from '#lib/domain/batch.ts';
import { type ChatReference, chatReference } from '#lib/domain/reference.ts';
import { findApplicationIds } from './application-ids.ts';
import { insertChanges } from './changes.ts';
import {
  type Database,
  literals,
  placeholders,
  type Row,
  toDateTime,
  toMs,
  type Value,
} from './connection/database.ts';
import { storeCreations } from './creations.ts';
import { type Deletion, deletionRounds, isMeant, newestOf } from './edits.ts';
import { recordHandled } from './progress.ts';

type Creation = Read<typeof createChatCommand>;
type Edit = Read<typeof updateChatCommand>;

export type ChatRow = {
  chatNumber: number;
  title: string | undefined;
  messagesCount: number;
  creatorId: number;
  version: number;
};

/** The version of a row. A row from before the column has that of its creation. */
const VERSION = 'IF(version = 0, command_id, version) AS version';

/**
 * `(token = ? AND number IN (…)) OR …`: both MySQL and MariaDB read it as a range of the index (token, number). Only one
 * of them does so for a list of row values.
 */
const whereChats = (refs: readonly ChatReference[]): { sql: string; values: Value[] } => {
  const groups = [...Map.groupBy(refs, ({ token }) => token)].map(
    ([token, group]) => [token, [...new Set(group.map(({ chatNumber }) => chatNumber))]] as const,
  );
  return {
    sql: groups
      .map(([, numbers]) => `(token = ? AND number IN (${placeholders(numbers.length)}))`)
      .join(' OR '),
    values: groups.flatMap(([token, numbers]) => [token, ...numbers]),
  };
};

/** @returns the ids of the stored chats among `refs`, by {@link chatReference} */
export const findChatIds = async (
  database: Database,
  refs: readonly ChatReference[],
): Promise<Map<string, number>> => {
  const { sql, values } = whereChats(refs);
  const rows = await database.select(`SELECT id, token, number FROM chats WHERE ${sql}`, values);
  return new Map(rows.map((row) => [chatReference({ token: row.token, chatNumber: row.number }), row.id]));
};

/** @returns those of the chats that are not deleted, nor their applications. They stay so until the transaction ends */
export const findAliveChats = async (transaction: Database, ids: readonly number[]): Promise<Set<number>> => {
  const rows = await transaction.select(
    `SELECT c.id FROM chats c JOIN applications a ON a.id = c.application_id
     WHERE c.id IN (${placeholders(ids.length)}) AND c.deleted_at IS NULL AND a.deleted_at IS NULL
     LOCK IN SHARE MODE`,
    ids,
  );
  return new Set(rows.map((row) => row.id));
};

/** @returns those of the tokens whose applications are deleted */
const findDeletedTokens = async (database: Database, tokens: readonly string[]): Promise<Set<string>> => {
  const unique = [...new Set(tokens)];
  if (unique.length === 0) return new Set();
  const rows = await database.select(
    `SELECT token FROM applications WHERE token IN (${placeholders(unique.length)}) AND deleted_at IS NOT NULL`,
    unique,
  );
  return new Set(rows.map((row) => row.token));
};

/** @returns those of the commands whose applications are deleted */
export const findOrphans = async <Of extends { token: string }>(
  database: Database,
  commands: readonly Of[],
): Promise<Set<Of>> => {
  const deleted = await findDeletedTokens(
    database,
    commands.map(({ token }) => token),
  );
  return new Set(commands.filter(({ token }) => deleted.has(token)));
};

/** @returns those of the chats that are deleted, by {@link chatReference} */
export const findDeletedChats = async (
  database: Database,
  refs: readonly ChatReference[],
): Promise<Set<string>> => {
  if (refs.length === 0) return new Set();
  const { sql, values } = whereChats(refs);
  const rows = await database.select(
    `SELECT token, number FROM chats WHERE (${sql}) AND deleted_at IS NOT NULL`,
    values,
  );
  return new Set(rows.map((row) => chatReference({ token: row.token, chatNumber: row.number })));
};

const findAliveApplications = async (transaction: Database, ids: readonly number[]): Promise<Set<number>> => {
  const rows = await transaction.select(
    `SELECT id FROM applications WHERE id IN (${placeholders(ids.length)}) AND deleted_at IS NULL
     LOCK IN SHARE MODE`,
    ids,
  );
  return new Set(rows.map((row) => row.id));
};

/** A chat as its creation leaves it, and the command that created it. */
type Created = ChatReference & {
  applicationId: number;
  creatorId: number;
  title: string | null;
  createdAtMs: number;
  commandId: number;
  version: number;
  isDeleted: boolean;
};

const creations = {
  name: 'chats',
  columns: [
    'application_id',
    'token',
    'number',
    'title',
    'created_at',
    'updated_at',
    'creator_id',
    'command_id',
    'version',
  ],
  toValues: (row: Created) => {
    const at = toDateTime(row.createdAtMs);
    return [
      row.applicationId,
      row.token,
      row.chatNumber,
      row.title,
      at,
      at,
      row.creatorId,
      row.commandId,
      row.version,
    ];
  },
  toRow: (
    { token, chatNumber, creatorId, title = null, createdAtMs, commandId, version }: Creation,
    { parentId }: { parentId: number },
  ): Created => ({
    applicationId: parentId,
    token,
    chatNumber,
    creatorId,
    title,
    createdAtMs,
    commandId,
    version,
    isDeleted: false,
  }),
  ownerId: ({ creatorId }: Creation) => creatorId,
  owner: 'creator' as const,
  reference: chatReference,
  findRows: async (database: Database, commands: readonly Creation[]) => {
    const { sql, values } = whereChats(commands);
    const rows = await database.select(
      `SELECT application_id, token, number, title, created_at, creator_id, command_id,
         deleted_at IS NOT NULL AS deleted, ${VERSION} FROM chats WHERE ${sql}`,
      values,
    );
    const created = rows.map(
      (row): Created => ({
        applicationId: row.application_id,
        token: row.token,
        chatNumber: row.number,
        creatorId: row.creator_id,
        title: row.title,
        createdAtMs: toMs(row.created_at),
        commandId: row.command_id,
        version: row.version,
        isDeleted: row.deleted === 1,
      }),
    );
    return new Map(created.map((row) => [chatReference(row), row]));
  },
  isOf: (command: Creation, row: Created) =>
    row.commandId === command.commandId &&
    row.creatorId === command.creatorId &&
    (row.version !== row.commandId || row.title === (command.title ?? null)),
  isDeleted: ({ isDeleted }: Created) => isDeleted,
  parent: {
    reference: ({ token }: Creation) => token,
    findIds: (database: Database, commands: readonly Creation[]) =>
      findApplicationIds(database, [...new Set(commands.map(({ token }) => token))]),
    findAlive: findAliveApplications,
  },
};

/** Writes titles that are newer than their rows. It cannot insert, so it never brings an erased row back. */
const rename = async (database: Database, edits: readonly (Edit & { id: number })[]): Promise<void> => {
  if (edits.length === 0) return;
  await database.write(
    `UPDATE chats c JOIN ${literals(['id', 'title', 'at', 'version'], edits.length)} e ON e.id = c.id
     SET c.title = e.title, c.updated_at = e.at, c.version = e.version
     WHERE e.version > IF(c.version = 0, c.command_id, c.version) AND c.deleted_at IS NULL`,
    edits.flatMap(({ id, title = null, editedAtMs, version }) => [
      id,
      title,
      toDateTime(editedAtMs),
      version,
    ]),
  );
};

/** Blanks rows, each once. */
const blankRows = async (database: Database, deletions: readonly Deletion[]): Promise<void> => {
  if (deletions.length === 0) return;
  await database.write(
    `UPDATE chats c JOIN ${literals(['id', 'at', 'version', 'created_before'], deletions.length)} d ON d.id = c.id
     SET c.title = NULL, c.deleted_at = d.at, c.erase_at = d.at, c.updated_at = d.at,
       c.version = GREATEST(c.version + 1, d.version)
     WHERE ${isMeant('c', 'd.created_before')}`,
    deletions.flatMap(({ id, editedAtMs, version, before }) => [id, toDateTime(editedAtMs), version, before]),
  );
};

/** The newest committed rows, also in a transaction that has read before. They cannot change until it ends. */
const findLocked = async (
  transaction: Database,
  ids: readonly number[],
): Promise<Map<number, { version: number; isDeleted: boolean; isOfDeleted: boolean }>> => {
  if (ids.length === 0) return new Map();
  const rows = await transaction.select(
    `SELECT c.id, c.version, c.deleted_at IS NOT NULL AS deleted, a.deleted_at IS NOT NULL AS of_deleted
     FROM chats c JOIN applications a ON a.id = c.application_id
     WHERE c.id IN (${placeholders(ids.length)}) LOCK IN SHARE MODE`,
    ids,
  );
  return new Map(
    rows.map((row) => [
      row.id,
      { version: row.version, isDeleted: row.deleted === 1, isOfDeleted: row.of_deleted === 1 },
    ]),
  );
};

/** A command as it is stored: with the version of the row, and whether that is deleted. */
export type SettledEdit<Command> = Command & { isDeleted: boolean };

export const createChats = (database: Database) => ({
  /** Stores new chats. */
  insert: async <Command extends Creation>(batch: readonly Command[]): Promise<Outcome<Command>> => {
    const { stored, ...others } = await storeCreations(database, createChatCommand, creations, batch);
    return { ...others, stored: stored.map(({ command }) => command) };
  },

  /**
   * Applies the newest title of each chat, and then its first deletion. An edit whose chat is not stored yet is deferred. One
   * of a deleted chat is dropped.
   */
  update: async <Command extends Edit>(
    batch: readonly Command[],
  ): Promise<Outcome<Command, SettledEdit<Command>>> => {
    const ids = await findChatIds(database, batch);
    const idOf = (command: Edit) => ids.get(chatReference(command));
    const orphans = await findOrphans(
      database,
      batch.filter((command) => idOf(command) === undefined),
    );
    const { titles = [], deletions = [] } = Object.groupBy(batch, ({ deleted }) =>
      deleted ? 'deletions' : 'titles',
    );
    return database.transaction(async (transaction) => {
      await rename(transaction, newestOf(titles, idOf));
      for (const round of deletionRounds(deletions, idOf)) await blankRows(transaction, round);
      const rows = await findLocked(transaction, [...ids.values()]);
      const outcome = { stored: [], deferred: [], dead: [], dropped: [] } as Required<
        Outcome<Command, SettledEdit<Command>>
      >;
      for (const command of batch) {
        const row = rows.get(idOf(command) ?? 0);
        if (orphans.has(command)) outcome.dropped.push(command);
        else if (row === undefined) outcome.deferred.push({ command, reason: 'its chat is not stored yet' });
        else if (!command.deleted && (row.isDeleted || row.isOfDeleted)) outcome.dropped.push(command);
        else outcome.stored.push({ ...command, isDeleted: row.isDeleted });
      }
      await insertChanges(transaction, updateChatCommand, outcome.stored);
      await recordHandled(transaction, updateChatCommand, batch, outcome);
      return outcome;
    });
  },

  /** @returns those of the chats that are deleted, by {@link chatReference} */
  deletedAmong: (refs: readonly ChatReference[]): Promise<ReadonlySet<string>> =>
    findDeletedChats(database, refs),

  /** @returns those of the chats that are stored, by {@link chatReference} */
  storedAmong: async (refs: readonly ChatReference[]): Promise<ReadonlySet<string>> =>
    refs.length === 0 ? new Set() : new Set((await findChatIds(database, refs)).keys()),

  /** Blanks the row of a deleted chat. Its command follows, so a row that is not stored yet may be missing. */
  blank: async (
    chat: ChatReference,
    { deletedAtMs, commandId }: { deletedAtMs: number; commandId: number },
  ): Promise<void> => {
    // By its primary key. By its number, the update would also lock the place of the next chat.
    const id = (await findChatIds(database, [chat])).get(chatReference(chat));
    if (id === undefined) return;
    await blankRows(database, [{ id, editedAtMs: deletedAtMs, version: commandId, before: commandId }]);
  },

  /** `isDeleted`: the chat or its application is deleted. */
  find: async (
    token: string,
    chatNumber: number,
  ): Promise<(ChatRow & { isDeleted: boolean }) | undefined> => {
    const [row] = await database.select(
      `SELECT c.number, c.title, c.messages_count, c.creator_id, IF(c.version = 0, c.command_id, c.version) AS version,
         c.deleted_at IS NOT NULL OR a.deleted_at IS NOT NULL AS deleted
       FROM chats c JOIN applications a ON a.id = c.application_id WHERE c.token = ? AND c.number = ?`,
      [token, chatNumber],
    );
    return row && { ...toChat(row), isDeleted: row.deleted === 1 };
  },

  /** The stored ones of these chats of an application. Those of a deleted application count as deleted. */
  findAmong: async (
    token: string,
    chatNumbers: readonly number[],
  ): Promise<(ChatRow & { isDeleted: boolean })[]> => {
    if (chatNumbers.length === 0) return [];
    const rows = await database.select(
      `SELECT c.number, c.title, c.messages_count, c.creator_id, IF(c.version = 0, c.command_id, c.version) AS version,
         c.deleted_at IS NOT NULL OR a.deleted_at IS NOT NULL AS deleted
       FROM chats c JOIN applications a ON a.id = c.application_id
       WHERE c.token = ? AND c.number IN (${placeholders(chatNumbers.length)})`,
      [token, ...chatNumbers],
    );
    return rows.map((row) => ({ ...toChat(row), isDeleted: row.deleted === 1 }));
  },

  /** Chats numbered `from` to `to` that are not deleted. */
  list: async (token: string, from: number, to: number): Promise<ChatRow[]> => {
    const rows = await database.select(
      `SELECT number, title, messages_count, creator_id, ${VERSION} FROM chats
       WHERE token = ? AND number BETWEEN ? AND ? AND deleted_at IS NULL ORDER BY number`,
      [token, from, to],
    );
    return rows.map(toChat);
  },

  /** Whether there is a chat above this number, deleted or not. */
  hasAbove: async (token: string, chatNumber: number): Promise<boolean> =>
    (
      await database.select('SELECT id FROM chats WHERE token = ? AND number > ? LIMIT 1', [
        token,
        chatNumber,
      ])
    ).length > 0,

  /** Raises counts. @returns the counts whose chats exist, or never will, because their application is deleted */
  raiseMessagesCounts: async <Count extends ChatReference & { count: number }>(
    counts: readonly Count[],
  ): Promise<Count[]> => {
    if (counts.length === 0) return [];
    const ids = await findChatIds(database, counts);
    const stored = counts.flatMap((count) => {
      const id = ids.get(chatReference(count));
      return id === undefined ? [] : [{ id, count }];
    });
    const orphans = await findOrphans(
      database,
      counts.filter((count) => !ids.has(chatReference(count))),
    );
    if (stored.length === 0) return [...orphans];
    await database.write(
      `UPDATE chats
       SET messages_count = GREATEST(messages_count, CASE id ${stored.map(() => 'WHEN ? THEN ?').join(' ')} END)
       WHERE id IN (${placeholders(stored.length)})`,
      [...stored.flatMap(({ id, count }) => [id, count.count]), ...stored.map(({ id }) => id)],
    );
    return [...stored.map(({ count }) => count), ...orphans];
  },

  /** The highest message number of each chat, after the chat `afterId`: for recovering the counters. */
  highestMessageNumbers: async (
    afterId: number,
    count: number,
  ): Promise<(ChatReference & { id: number; highest: number | 'deleted'; messagesCount: number })[]> => {
    // The order names every column of the index. For the number alone, MySQL would read and sort every message.
    const rows = await database.select(
      `SELECT c.id, c.token, c.number, c.messages_count, c.deleted_at IS NOT NULL AS deleted,
         (SELECT m.number FROM messages m WHERE m.chat_id = c.id
          ORDER BY m.chat_id DESC, m.number DESC LIMIT 1) AS highest
       FROM chats c WHERE c.id > ? ORDER BY c.id LIMIT ?`,
      [afterId, count],
    );
    return rows.map((row) => ({
      id: row.id,
      token: row.token,
      chatNumber: row.number,
      highest: row.deleted === 1 ? 'deleted' : (row.highest ?? 0),
      messagesCount: row.messages_count,
    }));
  },
});

const toChat = (row: Row): ChatRow => ({
  chatNumber: row.number,
  title: row.title ?? undefined,
  messagesCount: row.messages_count,
  creatorId: row.creator_id,
  version: row.version,
});

export type Chats = ReturnType<typeof createChats>;
