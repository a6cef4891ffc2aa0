import type { CreateMessage, UpdateMessage } from '#lib/contracts/commands.ts';
import { groupBy, type Placed } from '#lib/domain/batch.ts';
import type { Message } from '#lib/domain/message.ts';
import type { Position } from '#lib/domain/position.ts';
import { knownUsers } from './applications.ts';
import { chatKey, findChatIds } from './chats.ts';
import {
  type Database,
  keepWhatIsThere,
  placeholders,
  type Row,
  toDateTime,
  toMs,
  tuples,
  type Value,
} from './database.ts';

type MessageRef = { token: string; chatNumber: number; messageNumber: number };
const messageKey = ({ token, chatNumber, messageNumber }: MessageRef) =>
  `${token}:${chatNumber}:${messageNumber}`;

const columns =
  'id, chat_id, token, chat_number, number, body, created_at, edited_at, creator_id, sender_name, command_id, version';

type StoredMessage = Message & { id: number; chatId: number; commandId: number };

const toStored = (row: Row): StoredMessage => ({
  id: row.id,
  chatId: row.chat_id,
  token: row.token,
  chatNumber: row.chat_number,
  messageNumber: row.number,
  senderId: row.creator_id,
  senderName: row.sender_name,
  body: row.body,
  createdAtMs: toMs(row.created_at),
  ...(row.edited_at === null ? {} : { editedAtMs: toMs(row.edited_at) }),
  commandId: row.command_id,
  version: row.version,
});

/**
 * Whether the command made this row. Its id tells, but for two commands without one (other programs') that have the same
 * date: then what they say does, as long as it has not been edited.
 */
const isOf = (command: CreateMessage, row: StoredMessage) =>
  row.commandId === command.commandId &&
  row.senderId === command.senderId &&
  (row.version !== row.commandId || row.body === command.body);

const toMessage = (stored: StoredMessage): Message => {
  const { id: _id, chatId: _chatId, commandId: _commandId, ...message } = stored;
  return message;
};

export const createMessages = (database: Database) => {
  const findStored = async (refs: readonly MessageRef[]): Promise<Map<string, StoredMessage>> => {
    if (refs.length === 0) return new Map();
    const groups = [...groupBy(refs, chatKey).values()];
    const rows = await database.select(
      `SELECT ${columns} FROM messages WHERE ${groups
        .map((group) => `(token = ? AND chat_number = ? AND number IN (${placeholders(group.length)}))`)
        .join(' OR ')}`,
      groups.flatMap((group) => [
        group[0]?.token ?? '',
        group[0]?.chatNumber ?? 0,
        ...group.map(({ messageNumber }) => messageNumber),
      ]),
    );
    return new Map(rows.map(toStored).map((stored) => [messageKey(stored), stored]));
  };

  return {
    /**
     * Inserts what is not there. A message whose chat is not there yet is deferred; one whose number another command
     * has is dead, never dropped. `stored`: the rows as they are now, of all that is done.
     */
    insert: async (
      batch: readonly CreateMessage[],
    ): Promise<Placed<CreateMessage> & { stored: Message[] }> => {
      const placed: Placed<CreateMessage> & { stored: Message[] } = {
        done: [],
        defer: [],
        dead: [],
        stored: [],
      };
      if (batch.length === 0) return placed;
      const [users, chatIds] = await Promise.all([
        knownUsers(
          database,
          batch.map(({ senderId }) => senderId),
        ),
        findChatIds(database, batch),
      ]);
      const candidates: { command: CreateMessage; row: StoredMessage }[] = [];
      for (const command of batch) {
        const { token, chatNumber, messageNumber, senderId, body, commandId } = command;
        const senderName = users.get(senderId);
        const chatId = chatIds.get(chatKey(command));
        if (senderName === undefined) placed.dead.push({ command, reason: 'unknown sender' });
        else if (chatId === undefined) placed.defer.push({ command, reason: 'its chat is not stored yet' });
        else
          candidates.push({
            command,
            row: {
              id: 0,
              chatId,
              token,
              chatNumber,
              messageNumber,
              senderId,
              senderName: command.senderName ?? senderName,
              body,
              createdAtMs: Date.parse(command.date),
              commandId,
              version: commandId,
            },
          });
      }
      if (candidates.length === 0) return placed;
      const inserted = await database.write(
        `INSERT INTO messages (chat_id, token, chat_number, number, body, created_at, updated_at, creator_id,
           sender_name, command_id, version)
         VALUES ${tuples(candidates.length, 11)} ${keepWhatIsThere}`,
        candidates.flatMap(({ row }) => {
          const at = toDateTime(row.createdAtMs);
          return [
            row.chatId,
            row.token,
            row.chatNumber,
            row.messageNumber,
            row.body,
            at,
            at,
            row.senderId,
            row.senderName,
            row.commandId,
            row.version,
          ];
        }),
      );
      if (inserted === candidates.length) {
        placed.done.push(...candidates.map(({ command }) => command));
        placed.stored.push(...candidates.map(({ row }) => toMessage(row)));
        return placed;
      }
      const now = await findStored(candidates.map(({ row }) => row));
      const seen = new Set<string>();
      for (const { command } of candidates) {
        const row = now.get(messageKey(command));
        if (row === undefined || !isOf(command, row)) {
          placed.dead.push({ command, reason: 'the number belongs to another command' });
          continue;
        }
        placed.done.push(command);
        if (!seen.has(messageKey(command))) placed.stored.push(toMessage(row));
        seen.add(messageKey(command));
      }
      return placed;
    },

    /** Applies the newest edit of each message. One whose message is not there yet is deferred. */
    update: async (
      batch: readonly UpdateMessage[],
    ): Promise<Placed<UpdateMessage> & { stored: Message[] }> => {
      const placed: Placed<UpdateMessage> & { stored: Message[] } = {
        done: [],
        defer: [],
        dead: [],
        stored: [],
      };
      const rows = await findStored(batch);
      const newest = new Map<string, UpdateMessage>();
      for (const command of batch) {
        const key = messageKey(command);
        if (!rows.has(key)) {
          placed.defer.push({ command, reason: 'its message is not stored yet' });
          continue;
        }
        placed.done.push(command);
        const other = newest.get(key);
        if (other === undefined || other.commandId < command.commandId) newest.set(key, command);
      }
      const edited = [...newest].flatMap(([key, command]) => {
        const row = rows.get(key);
        if (row === undefined) return [];
        if (command.commandId <= row.version) {
          placed.stored.push(toMessage(row));
          return [];
        }
        return [
          {
            ...row,
            body: command.body,
            editedAtMs: Date.parse(command.date),
            version: command.commandId,
          } satisfies StoredMessage,
        ];
      });
      if (edited.length === 0) return placed;
      // The rows are there and are never deleted: the insert always takes its second branch. `version` is set last,
      // since MySQL evaluates from left to right.
      await database.write(
        `INSERT INTO messages (id, chat_id, token, chat_number, number, body, created_at, updated_at, edited_at,
           creator_id, sender_name, command_id, version)
         VALUES ${tuples(edited.length, 13)}
         ON DUPLICATE KEY UPDATE
           body = IF(VALUES(version) > version, VALUES(body), body),
           edited_at = IF(VALUES(version) > version, VALUES(edited_at), edited_at),
           updated_at = IF(VALUES(version) > version, VALUES(updated_at), updated_at),
           version = GREATEST(version, VALUES(version))`,
        edited.flatMap((row) => {
          const editedAt = toDateTime(row.editedAtMs);
          return [
            row.id,
            row.chatId,
            row.token,
            row.chatNumber,
            row.messageNumber,
            row.body,
            toDateTime(row.createdAtMs),
            editedAt,
            editedAt,
            row.senderId,
            row.senderName,
            row.commandId,
            row.version,
          ];
        }),
      );
      placed.stored.push(...edited.map(toMessage));
      return placed;
    },

    /** A page, newest first: from a cursor (exclusive), or after `skip` rows; without the numbers in `except`. */
    page: async (
      { token, chatNumber }: { token: string; chatNumber: number },
      {
        before,
        skip,
        count,
        except = [],
      }: { before?: Position | undefined; skip: number; count: number; except?: readonly number[] },
    ): Promise<Message[]> => {
      const values: Value[] = [token, chatNumber];
      let where = 'token = ? AND chat_number = ?';
      if (before !== undefined) {
        const at = toDateTime(before.createdAtMs);
        where += ' AND (created_at < ? OR (created_at = ? AND number < ?))';
        values.push(at, at, before.messageNumber);
      }
      if (except.length > 0) {
        where += ` AND number NOT IN (${placeholders(except.length)})`;
        values.push(...except);
      }
      // Told which index, the servers begin at the cursor; left to choose, they walk down to it from the newest row.
      const from = `FROM messages FORCE INDEX (messages_page) WHERE ${where} ORDER BY created_at DESC, number DESC`;
      // What is skipped is read from the index alone; only the page's own rows are fetched.
      const rows =
        skip === 0
          ? await database.select(`SELECT ${columns} ${from} LIMIT ?`, [...values, count])
          : await database.select(
              `SELECT m.* FROM (SELECT id ${from} LIMIT ? OFFSET ?) page
               JOIN messages m ON m.id = page.id ORDER BY m.created_at DESC, m.number DESC`,
              [...values, count, skip],
            );
      return rows.map((row) => toMessage(toStored(row)));
    },

    find: async (refs: readonly MessageRef[]): Promise<Message[]> =>
      [...(await findStored(refs)).values()].map(toMessage),

    /** All messages in the order they were stored, after the row `afterId`: for rebuilding the index. */
    scan: async (
      afterId: number,
      count: number,
    ): Promise<{ messages: Message[]; lastId: number | undefined }> => {
      const rows = await database.select(`SELECT ${columns} FROM messages WHERE id > ? ORDER BY id LIMIT ?`, [
        afterId,
        count,
      ]);
      const stored = rows.map(toStored);
      return { messages: stored.map(toMessage), lastId: stored.at(-1)?.id };
    },
    highestId: async (): Promise<number> => {
      const [row] = await database.select('SELECT MAX(id) AS highest FROM messages', []);
      return row?.highest ?? 0;
    },
  };
};

export type Messages = ReturnType<typeof createMessages>;
