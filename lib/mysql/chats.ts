import type { Read } from '#lib/contracts/commands/command.ts';
import { createChatCommand } from '#lib/contracts/commands/create-chat.ts';
import { updateChatCommand } from '#lib/contracts/commands/update-chat.ts';
import type { Outcome } from '#lib/domain/batch.ts';
import { type ChatReference, chatReference } from '#lib/domain/reference.ts';
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

const findApplicationIds = async (
  database: Database,
  tokens: readonly string[],
): Promise<Map<string, number>> => {
  const rows = await database.select(
    `SELECT id, token FROM applications WHERE token IN (${placeholders(tokens.length)})`,
    tokens,
  );
  return new Map(rows.map((row) => [row.token, row.id]));
};

/** A chat as its creation leaves it, and the command that created it. */
type Created = ChatReference & {
  applicationId: number;
  creatorId: number;
  title: string | null;
  createdAtMs: number;
  commandId: number;
  version: number;
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
  }),
  ownerId: ({ creatorId }: Creation) => creatorId,
  owner: 'creator' as const,
  reference: chatReference,
  findRows: async (database: Database, commands: readonly Creation[]) => {
    const { sql, values } = whereChats(commands);
    const rows = await database.select(
      `SELECT application_id, token, number, title, created_at, creator_id, command_id, ${VERSION}
       FROM chats WHERE ${sql}`,
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
      }),
    );
    return new Map(created.map((row) => [chatReference(row), row]));
  },
  isOf: (command: Creation, row: Created) =>
    row.commandId === command.commandId &&
    row.creatorId === command.creatorId &&
    (row.version !== row.commandId || row.title === (command.title ?? null)),
  parent: {
    reference: ({ token }: Creation) => token,
    findIds: (database: Database, commands: readonly Creation[]) =>
      findApplicationIds(database, [...new Set(commands.map(({ token }) => token))]),
  },
};

/** Writes titles that are newer than their rows. It cannot insert, so it never brings an erased row back. */
const rename = async (database: Database, edits: readonly (Edit & { id: number })[]): Promise<void> => {
  if (edits.length === 0) return;
  await database.write(
    `UPDATE chats c JOIN ${literals(['id', 'title', 'at', 'version'], edits.length)} e ON e.id = c.id
     SET c.title = e.title, c.updated_at = e.at, c.version = e.version
     WHERE e.version > c.version AND e.version > c.command_id`,
    edits.flatMap(({ id, title = null, editedAtMs, version }) => [
      id,
      title,
      toDateTime(editedAtMs),
      version,
    ]),
  );
};

export const createChats = (database: Database) => ({
  /** Stores new chats. */
  insert: async <Command extends Creation>(batch: readonly Command[]): Promise<Outcome<Command>> => {
    const { stored, ...others } = await storeCreations(database, createChatCommand, creations, batch);
    return { ...others, stored: stored.map(({ command }) => command) };
  },

  /** Applies the newest edit of each chat. An edit whose chat is not stored yet is deferred. */
  update: async <Command extends Edit>(batch: readonly Command[]): Promise<Outcome<Command>> => {
    const ids = await findChatIds(database, batch);
    const outcome: Outcome<Command> = { stored: [], deferred: [], dead: [] };
    const newest = new Map<string, Command & { id: number }>();
    for (const command of batch) {
      const reference = chatReference(command);
      const id = ids.get(reference);
      if (id === undefined) {
        outcome.deferred.push({ command, reason: 'its chat is not stored yet' });
        continue;
      }
      outcome.stored.push(command);
      const other = newest.get(reference);
      if (other === undefined || other.version < command.version) newest.set(reference, { ...command, id });
    }
    await database.transaction(async (transaction) => {
      await rename(transaction, [...newest.values()]);
      await recordHandled(transaction, updateChatCommand, batch, outcome);
    });
    return outcome;
  },

  find: async (token: string, chatNumber: number): Promise<ChatRow | undefined> => {
    const [row] = await database.select(
      `SELECT number, title, messages_count, creator_id, ${VERSION} FROM chats WHERE token = ? AND number = ?`,
      [token, chatNumber],
    );
    return row && toChat(row);
  },

  /** Chats numbered `from` to `to`. */
  list: async (token: string, from: number, to: number): Promise<ChatRow[]> => {
    const rows = await database.select(
      `SELECT number, title, messages_count, creator_id, ${VERSION} FROM chats
       WHERE token = ? AND number BETWEEN ? AND ? ORDER BY number`,
      [token, from, to],
    );
    return rows.map(toChat);
  },

  /** Raises counts. @returns the counts whose chats exist */
  raiseMessagesCounts: async <Count extends ChatReference & { count: number }>(
    counts: readonly Count[],
  ): Promise<Count[]> => {
    if (counts.length === 0) return [];
    const ids = await findChatIds(database, counts);
    const stored = counts.flatMap((count) => {
      const id = ids.get(chatReference(count));
      return id === undefined ? [] : [{ id, count }];
    });
    if (stored.length === 0) return [];
    await database.write(
      `UPDATE chats
       SET messages_count = GREATEST(messages_count, CASE id ${stored.map(() => 'WHEN ? THEN ?').join(' ')} END)
       WHERE id IN (${placeholders(stored.length)})`,
      [...stored.flatMap(({ id, count }) => [id, count.count]), ...stored.map(({ id }) => id)],
    );
    return stored.map(({ count }) => count);
  },

  /** The highest message number of each chat, after the chat `afterId`: for recovering the counters. */
  highestMessageNumbers: async (
    afterId: number,
    count: number,
  ): Promise<(ChatReference & { id: number; highest: number; messagesCount: number })[]> => {
    // The order names every column of the index. For the number alone, MySQL would read and sort every message.
    const rows = await database.select(
      `SELECT c.id, c.token, c.number, c.messages_count,
         (SELECT m.number FROM messages m WHERE m.chat_id = c.id
          ORDER BY m.chat_id DESC, m.number DESC LIMIT 1) AS highest
       FROM chats c WHERE c.id > ? ORDER BY c.id LIMIT ?`,
      [afterId, count],
    );
    return rows.map((row) => ({
      id: row.id,
      token: row.token,
      chatNumber: row.number,
      highest: row.highest ?? 0,
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
