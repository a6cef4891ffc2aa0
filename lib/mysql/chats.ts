import type { Read } from '#lib/contracts/commands/command.ts';
import type { createChatCommand } from '#lib/contracts/commands/create-chat.ts';
import type { Outcome } from '#lib/domain/batch.ts';
import { type ChatReference, chatReference } from '#lib/domain/reference.ts';
import {
  type Database,
  keepWhatIsThere,
  placeholders,
  toDateTime,
  tuples,
  type Value,
} from './connection/database.ts';
import { handledOf, ofCreation, recordHandled } from './progress.ts';
import { findUserNames } from './users.ts';

type Creation = Read<typeof createChatCommand>;

export type ChatRow = { chatNumber: number; title: string | undefined; messagesCount: number };

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

/** Inserts missing chats. The rows then show which command each number belongs to. */
const insertChats = async <Command extends Creation>(
  database: Database,
  candidates: readonly Command[],
  applicationIds: ReadonlyMap<string, number>,
): Promise<Pick<Outcome<Command>, 'stored' | 'dead'>> => {
  if (candidates.length === 0) return { stored: [], dead: [] };
  await database.write(
    `INSERT INTO chats (application_id, token, number, title, created_at, updated_at, creator_id, command_id)
     VALUES ${tuples(candidates.length, 8)} ${keepWhatIsThere}`,
    candidates.flatMap(({ token, chatNumber, title = null, createdAtMs, creatorId, commandId }) => {
      const at = toDateTime(createdAtMs);
      return [applicationIds.get(token) ?? null, token, chatNumber, title, at, at, creatorId, commandId];
    }),
  );
  const { sql, values } = whereChats(candidates);
  const rows = await database.select(
    `SELECT token, number, title, creator_id, command_id FROM chats WHERE ${sql}`,
    values,
  );
  const owners = new Map(
    rows.map((row) => [chatReference({ token: row.token, chatNumber: row.number }), row]),
  );
  const isOurs = (command: Creation): boolean => {
    const row = owners.get(chatReference(command));
    // Two commands of other programs may share an id, which is their date. Then their contents distinguish them.
    return (
      row?.command_id === command.commandId &&
      row.creator_id === command.creatorId &&
      row.title === (command.title ?? null)
    );
  };
  return {
    stored: candidates.filter(isOurs),
    dead: candidates
      .filter((command) => !isOurs(command))
      .map((command) => ({ command, reason: 'the number belongs to another command' })),
  };
};

export const createChats = (database: Database) => ({
  /** Inserts missing chats. A chat whose application is not stored yet is deferred. */
  insert: async <Command extends Creation>(batch: readonly Command[]): Promise<Outcome<Command>> => {
    const [users, applicationIds] = await Promise.all([
      findUserNames(
        database,
        batch.map(({ creatorId }) => creatorId),
      ),
      findApplicationIds(database, [...new Set(batch.map(({ token }) => token))]),
    ]);
    const outcome: Outcome<Command> = { stored: [], deferred: [], dead: [] };
    const candidates = batch.filter((command) => {
      if (!users.has(command.creatorId)) outcome.dead.push({ command, reason: 'unknown creator' });
      else if (!applicationIds.has(command.token))
        outcome.deferred.push({ command, reason: 'its application is not stored yet' });
      else return true;
      return false;
    });
    return database.transaction(async (transaction) => {
      const { stored, dead } = await insertChats(transaction, candidates, applicationIds);
      const whole = { ...outcome, stored, dead: [...outcome.dead, ...dead] };
      await recordHandled(transaction, handledOf('create-chat', batch, ofCreation(whole)));
      return whole;
    });
  },

  find: async (token: string, chatNumber: number): Promise<ChatRow | undefined> => {
    const [row] = await database.select(
      'SELECT number, title, messages_count FROM chats WHERE token = ? AND number = ?',
      [token, chatNumber],
    );
    return row && toChat(row);
  },

  /** Chats numbered `from` to `to`. */
  list: async (token: string, from: number, to: number): Promise<ChatRow[]> => {
    const rows = await database.select(
      'SELECT number, title, messages_count FROM chats WHERE token = ? AND number BETWEEN ? AND ? ORDER BY number',
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

const toChat = (row: {
  [column: string]: unknown;
  number?: number;
  title?: string | null;
  messages_count?: number;
}): ChatRow => ({
  chatNumber: row.number ?? 0,
  title: row.title ?? undefined,
  messagesCount: row.messages_count ?? 0,
});

export type Chats = ReturnType<typeof createChats>;
