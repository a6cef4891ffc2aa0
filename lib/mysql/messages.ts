import type { Read } from '#lib/contracts/commands/command.ts';
import type { createMessageCommand } from '#lib/contracts/commands/create-message.ts';
import type { updateMessageCommand } from '#lib/contracts/commands/update-message.ts';
import type { Outcome } from '#lib/domain/batch.ts';
import type { Message } from '#lib/domain/message.ts';
import type { Position } from '#lib/domain/position.ts';
import { chatReference, type MessageReference, messageReference } from '#lib/domain/reference.ts';
import { findChatIds } from './chats.ts';
import {
  type Database,
  keepWhatIsThere,
  placeholders,
  type Row,
  toDateTime,
  toMs,
  tuples,
  type Value,
} from './connection/database.ts';
import { handledOf, ofCreation, recordHandled } from './progress.ts';
import { findUserNames } from './users.ts';

type Creation = Read<typeof createMessageCommand>;
type Edit = Read<typeof updateMessageCommand>;

const columns =
  'id, chat_id, token, chat_number, number, body, created_at, edited_at, creator_id, sender_name, command_id, version';

/** A row, and the command that created it. */
type StoredMessage = Message & { id: number; chatId: number; commandId: number; digest?: string | undefined };

/** A message as it is stored now, and the command that this completes: the creation or one of the edits. */
export type SettledMessage = Message & { commandId: number; digest?: string | undefined };

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
 * True if the command created this row. The id decides. Two commands of other programs may share an id, which is their
 * date; then their contents decide, unless the row has been edited.
 */
const isOf = (command: Creation, row: StoredMessage) =>
  row.commandId === command.commandId &&
  row.senderId === command.senderId &&
  (row.version !== row.commandId || row.body === command.body);

const toMessage = ({ id: _id, chatId: _chatId, commandId: _commandId, ...message }: StoredMessage): Message =>
  message;

type Candidate<Command> = { command: Command; row: StoredMessage };

const toCandidate = <Command extends Creation>(
  command: Command,
  chatId: number,
  senderName: string,
): Candidate<Command> => ({
  command,
  row: {
    id: 0,
    chatId,
    token: command.token,
    chatNumber: command.chatNumber,
    messageNumber: command.messageNumber,
    senderId: command.senderId,
    senderName: command.senderName ?? senderName,
    body: command.body,
    createdAtMs: command.createdAtMs,
    commandId: command.commandId,
    digest: command.digest,
    version: command.version,
  },
});

const findStored = async (
  database: Database,
  refs: readonly MessageReference[],
): Promise<Map<string, StoredMessage>> => {
  if (refs.length === 0) return new Map();
  const groups = [...Map.groupBy(refs, chatReference).values()];
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
  return new Map(rows.map(toStored).map((stored) => [messageReference(stored), stored]));
};

/** @returns how many rows were inserted */
const insertRows = (database: Database, rows: readonly StoredMessage[]): Promise<number> =>
  database.write(
    `INSERT INTO messages (chat_id, token, chat_number, number, body, created_at, updated_at, creator_id,
       sender_name, command_id, version)
     VALUES ${tuples(rows.length, 11)} ${keepWhatIsThere}`,
    rows.flatMap((row) => {
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

/** Inserts missing messages. The rows then show which command each number belongs to. */
const insertMessages = async <Command extends Creation>(
  database: Database,
  candidates: readonly Candidate<Command>[],
): Promise<Pick<Outcome<Command, SettledMessage>, 'stored' | 'dead'>> => {
  if (candidates.length === 0) return { stored: [], dead: [] };
  const rows = candidates.map(({ row }) => row);
  // Every row is new, so each command has created its own, and no query is needed.
  if ((await insertRows(database, rows)) === rows.length) return { stored: rows, dead: [] };
  const owners = await findStored(database, rows);
  const stored = new Map<string, StoredMessage>();
  const dead: Outcome<Command>['dead'] = [];
  for (const { command } of candidates) {
    const reference = messageReference(command);
    const row = owners.get(reference);
    if (row !== undefined && isOf(command, row)) stored.set(reference, { ...row, digest: command.digest });
    else dead.push({ command, reason: 'the number belongs to another command' });
  }
  return { stored: [...stored.values()], dead };
};

/**
 * Writes edits that are newer than their rows. The rows exist and are never deleted, so the insert always takes its
 * second branch. `version` comes last, because MySQL evaluates assignments from left to right.
 */
const updateRows = async (database: Database, rows: readonly StoredMessage[]): Promise<void> => {
  if (rows.length === 0) return;
  await database.write(
    `INSERT INTO messages (id, chat_id, token, chat_number, number, body, created_at, updated_at, edited_at,
       creator_id, sender_name, command_id, version)
     VALUES ${tuples(rows.length, 13)}
     ON DUPLICATE KEY UPDATE
       body = IF(VALUES(version) > version, VALUES(body), body),
       edited_at = IF(VALUES(version) > version, VALUES(edited_at), edited_at),
       updated_at = IF(VALUES(version) > version, VALUES(updated_at), updated_at),
       version = GREATEST(version, VALUES(version))`,
    rows.flatMap((row) => {
      const editedAt = toDateTime(row.editedAtMs ?? row.createdAtMs);
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
};

const edited = (row: StoredMessage, { body, editedAtMs, version }: Edit): StoredMessage => ({
  ...row,
  body,
  editedAtMs,
  version,
});

export const createMessages = (database: Database) => ({
  /**
   * Inserts missing messages. A message whose chat is not stored yet is deferred. A message whose number belongs to
   * another command is dead, and never dropped.
   * @returns `stored` contains each message once, as its row is now
   */
  insert: async <Command extends Creation>(
    batch: readonly Command[],
  ): Promise<Outcome<Command, SettledMessage>> => {
    const [users, chatIds] = await Promise.all([
      findUserNames(
        database,
        batch.map(({ senderId }) => senderId),
      ),
      findChatIds(database, batch),
    ]);
    const outcome: Outcome<Command> = { stored: [], deferred: [], dead: [] };
    const candidates: Candidate<Command>[] = [];
    for (const command of batch) {
      const senderName = users.get(command.senderId);
      const chatId = chatIds.get(chatReference(command));
      if (senderName === undefined) outcome.dead.push({ command, reason: 'unknown sender' });
      else if (chatId === undefined) outcome.deferred.push({ command, reason: 'its chat is not stored yet' });
      else candidates.push(toCandidate(command, chatId, senderName));
    }
    return database.transaction(async (transaction) => {
      const { stored, dead } = await insertMessages(transaction, candidates);
      const whole = { ...outcome, stored, dead: [...outcome.dead, ...dead] };
      await recordHandled(transaction, handledOf('create-message', batch, ofCreation(whole)));
      return whole;
    });
  },

  /**
   * Applies the newest edit of each message. An edit whose message is not stored yet is deferred.
   * @returns `stored` contains one message for each edit, as its row is now
   */
  update: async <Command extends Edit>(
    batch: readonly Command[],
  ): Promise<Outcome<Command, SettledMessage>> => {
    const before = await findStored(database, batch);
    const deferred = batch
      .filter((command) => !before.has(messageReference(command)))
      .map((command) => ({ command, reason: 'its message is not stored yet' }));
    const after = new Map(before);
    for (const command of batch) {
      const reference = messageReference(command);
      const row = after.get(reference);
      if (row !== undefined && row.version < command.version) after.set(reference, edited(row, command));
    }
    await database.transaction(async (transaction) => {
      await updateRows(
        transaction,
        [...after].flatMap(([reference, row]) => (before.get(reference) === row ? [] : [row])),
      );
      await recordHandled(transaction, handledOf('update-message', batch, { refused: [], stored: [] }));
    });
    const stored = batch.flatMap((command) => {
      const row = after.get(messageReference(command));
      return row === undefined
        ? []
        : [{ ...toMessage(row), commandId: command.commandId, digest: command.digest }];
    });
    return { stored, deferred, dead: [] };
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
    // With the index named, the servers begin at the cursor. Without it, they read every newer row first. EXPLAIN does not
    // show the difference, so a test counts the rows that are read.
    const from = `FROM messages FORCE INDEX (messages_page) WHERE ${where} ORDER BY created_at DESC, number DESC`;
    // Skipped rows are read from the index alone. Only the rows of the page are fetched.
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

  find: async (refs: readonly MessageReference[]): Promise<Message[]> =>
    [...(await findStored(database, refs)).values()].map(toMessage),

  /** All messages after the row `afterId`, in the order of storing, for a rebuild of the index. */
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
});

export type Messages = ReturnType<typeof createMessages>;
