import type { CreateChat } from '#lib/contracts/commands.ts';
import { groupBy, type Placed } from '#lib/domain/batch.ts';
import { knownUsers } from './applications.ts';
import { type Database, keepWhatIsThere, placeholders, toDateTime, tuples, type Value } from './database.ts';

export type ChatRow = { chatNumber: number; title: string | undefined; messagesCount: number };

type ChatRef = { token: string; chatNumber: number };
export const chatKey = ({ token, chatNumber }: ChatRef) => `${token}:${chatNumber}`;

/**
 * `(token = ? AND number IN (…)) OR …`: a range on the index (token, number) for both MySQL and MariaDB, which do not
 * both make one of a list of row values.
 */
const whereChats = (refs: readonly ChatRef[]): { sql: string; values: Value[] } => {
  const groups = [...groupBy(refs, ({ token }) => token)].map(
    ([token, group]) => [token, [...new Set(group.map(({ chatNumber }) => chatNumber))]] as const,
  );
  return {
    sql: groups
      .map(([, numbers]) => `(token = ? AND number IN (${placeholders(numbers.length)}))`)
      .join(' OR '),
    values: groups.flatMap(([token, numbers]) => [token, ...numbers]),
  };
};

/** Ids of those chats that are stored, by `chatKey`. */
export const findChatIds = async (
  database: Database,
  refs: readonly ChatRef[],
): Promise<Map<string, number>> => {
  const { sql, values } = whereChats(refs);
  const rows = await database.select(`SELECT id, token, number FROM chats WHERE ${sql}`, values);
  return new Map(rows.map((row) => [chatKey({ token: row.token, chatNumber: row.number }), row.id]));
};

export const createChats = (database: Database) => ({
  /** Inserts what is not there; a chat whose application is not there yet is deferred. */
  insert: async (batch: readonly CreateChat[]): Promise<Placed<CreateChat>> => {
    const placed: Placed<CreateChat> = { done: [], defer: [], dead: [] };
    if (batch.length === 0) return placed;
    const tokens = [...new Set(batch.map(({ token }) => token))];
    const [users, applications] = await Promise.all([
      knownUsers(
        database,
        batch.map(({ creatorId }) => creatorId),
      ),
      database.select(
        `SELECT id, token FROM applications WHERE token IN (${placeholders(tokens.length)})`,
        tokens,
      ),
    ]);
    const applicationIds = new Map(applications.map((row) => [row.token, row.id]));
    const candidates = batch.filter((command) => {
      if (!users.has(command.creatorId)) {
        placed.dead.push({ command, reason: 'unknown creator' });
        return false;
      }
      if (!applicationIds.has(command.token)) {
        placed.defer.push({ command, reason: 'its application is not stored yet' });
        return false;
      }
      return true;
    });
    if (candidates.length === 0) return placed;
    await database.write(
      `INSERT INTO chats (application_id, token, number, title, created_at, updated_at, creator_id, command_id)
       VALUES ${tuples(candidates.length, 8)} ${keepWhatIsThere}`,
      candidates.flatMap((command) => {
        const at = toDateTime(Date.parse(command.date));
        return [
          applicationIds.get(command.token),
          command.token,
          command.chatNumber,
          command.title ?? null,
          at,
          at,
          command.creatorId,
          command.commandId,
        ];
      }),
    );
    const { sql, values } = whereChats(candidates);
    const rows = await database.select(
      `SELECT token, number, title, creator_id, command_id FROM chats WHERE ${sql}`,
      values,
    );
    const owner = new Map(rows.map((row) => [chatKey({ token: row.token, chatNumber: row.number }), row]));
    for (const command of candidates) {
      const row = owner.get(chatKey(command));
      // Two commands without an id of their own may have the same date: then what they say tells them apart.
      const isOurs =
        row?.command_id === command.commandId &&
        row?.creator_id === command.creatorId &&
        row?.title === (command.title ?? null);
      if (isOurs) placed.done.push(command);
      else placed.dead.push({ command, reason: 'the number belongs to another command' });
    }
    return placed;
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

  /** Raises counts. @returns those that are stored now */
  raiseMessagesCounts: async <Count extends ChatRef & { count: number }>(
    counts: readonly Count[],
  ): Promise<Count[]> => {
    if (counts.length === 0) return [];
    const ids = await findChatIds(database, counts);
    const stored = counts.flatMap((count) => {
      const id = ids.get(chatKey(count));
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
  ): Promise<(ChatRef & { id: number; highest: number; messagesCount: number })[]> => {
    // Ordered by the whole of the index: by the number alone MySQL would read every message of a chat, and sort.
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
