import type { Read } from '#lib/contracts/commands/command.ts';
import { createMessageCommand } from '#lib/contracts/commands/create-message.ts';
import { updateMessageCommand } from '#lib/contracts/commands/update-message.ts';
import type { Outcome } from '#lib/domain/batch.ts';
import { DELETED_USER, type Message } from '#lib/domain/message.ts';
import type { PageStart } from '#lib/domain/position.ts';
import { chatReference, type MessageReference, messageReference } from '#lib/domain/reference.ts';
import { insertChanges } from './changes.ts';
import { findAliveChats, findChatIds, findDeletedChats, findOrphans } from './chats.ts';
import {
  type Database,
  literals,
  placeholders,
  type Row,
  toDateTime,
  toMs,
  tuples,
  type Value,
} from './connection/database.ts';
import { storeCreations } from './creations.ts';
import { type Deletion, deletionRounds, isMeant, newestOf } from './edits.ts';
import { recordHandled } from './progress.ts';
import { findErased, type Owner } from './users.ts';

type Creation = Read<typeof createMessageCommand>;
type Edit = Read<typeof updateMessageCommand>;

/** Only a row from before the column `sender` reads its creator. */
const columns =
  'id, chat_id, token, chat_number, number, body, created_at, edited_at, deleted_at, creator_id, COALESCE(sender, (SELECT handle FROM users WHERE users.id = creator_id AND erased_at IS NULL)) AS sender, sender_name, command_id, version';

/** A row, and the command that created it. */
type StoredMessage = Message & { id: number; chatId: number; commandId: number; digest?: string | undefined };

/** A message as it is stored now, and the command that this completes: the creation or one of the edits. */
export type SettledMessage = Message & {
  commandId: number;
  digest?: string | undefined;
  /** Whether the command is a deletion. */
  deleted?: true | null | undefined;
};

/** A message of an erased account, by its row. */
export type ErasedMessage = Message & { id: number };

const toStored = (row: Row): StoredMessage => ({
  id: row.id,
  chatId: row.chat_id,
  token: row.token,
  chatNumber: row.chat_number,
  messageNumber: row.number,
  senderId: row.creator_id,
  // Empty until Redis and the index know that the account was erased.
  sender: row.sender || null,
  senderName: row.sender_name,
  body: row.body,
  createdAtMs: toMs(row.created_at),
  ...(row.edited_at === null ? {} : { editedAtMs: toMs(row.edited_at) }),
  ...(row.deleted_at === null ? {} : { deletedAtMs: toMs(row.deleted_at) }),
  commandId: row.command_id,
  version: row.version,
});

const toMessage = ({ id: _id, chatId: _chatId, commandId: _commandId, ...message }: StoredMessage): Message =>
  message;

/** The rows of messages, with these columns. */
const selectRows = (
  database: Database,
  wanted: string,
  refs: readonly MessageReference[],
): Promise<Row[]> => {
  const groups = [...Map.groupBy(refs, chatReference).values()];
  return database.select(
    `SELECT ${wanted} FROM messages WHERE ${groups
      .map((group) => `(token = ? AND chat_number = ? AND number IN (${placeholders(group.length)}))`)
      .join(' OR ')}`,
    groups.flatMap((group) => [
      group[0]?.token ?? '',
      group[0]?.chatNumber ?? 0,
      ...group.map(({ messageNumber }) => messageNumber),
    ]),
  );
};

const findStored = async (
  database: Database,
  refs: readonly MessageReference[],
): Promise<Map<string, StoredMessage>> => {
  if (refs.length === 0) return new Map();
  const rows = await selectRows(database, columns, refs);
  return new Map(rows.map(toStored).map((stored) => [messageReference(stored), stored]));
};

/** The newest committed rows, also in a transaction that has read before. They cannot change until it ends. */
const findLocked = async (
  database: Database,
  ids: readonly number[],
): Promise<Map<string, StoredMessage>> => {
  if (ids.length === 0) return new Map();
  const rows = await database.select(
    `SELECT ${columns} FROM messages WHERE id IN (${placeholders(ids.length)}) LOCK IN SHARE MODE`,
    ids,
  );
  return new Map(rows.map(toStored).map((stored) => [messageReference(stored), stored]));
};

const creations = {
  name: 'messages',
  columns: [
    'chat_id',
    'token',
    'chat_number',
    'number',
    'body',
    'created_at',
    'updated_at',
    'creator_id',
    'sender',
    'sender_name',
    'command_id',
    'version',
  ],
  toValues: (row: StoredMessage) => {
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
      row.sender ?? null,
      row.senderName,
      row.commandId,
      row.version,
    ];
  },
  toRow: (command: Creation, { parentId, owner }: { parentId: number; owner: Owner }): StoredMessage => ({
    id: 0,
    chatId: parentId,
    token: command.token,
    chatNumber: command.chatNumber,
    messageNumber: command.messageNumber,
    senderId: command.senderId,
    // The user's own handle comes first, so that no command of another program gives a message to somebody else.
    sender: owner.handle ?? command.sender ?? null,
    senderName: command.senderName ?? owner.name,
    body: command.body,
    createdAtMs: command.createdAtMs,
    commandId: command.commandId,
    version: command.version,
  }),
  ownerId: ({ senderId }: Creation) => senderId,
  owner: 'sender' as const,
  reference: messageReference,
  findRows: findStored,
  isOf: (command: Creation, row: StoredMessage) =>
    row.commandId === command.commandId &&
    row.senderId === command.senderId &&
    (row.version !== row.commandId || row.body === command.body),
  parent: { reference: chatReference, findIds: findChatIds, findAlive: findAliveChats, findOrphans },
};

/** Writes edits that are newer than their rows. It cannot insert, so it never brings an erased row back. */
const updateRows = async (
  database: Database,
  edits: readonly (Pick<Edit, 'body' | 'editedAtMs' | 'version'> & { id: number })[],
): Promise<void> => {
  if (edits.length === 0) return;
  await database.write(
    `UPDATE messages m JOIN ${literals(['id', 'body', 'at', 'version'], edits.length)} e ON e.id = m.id
     SET m.body = e.body, m.edited_at = e.at, m.updated_at = e.at, m.version = e.version
     WHERE e.version > m.version AND m.deleted_at IS NULL`,
    edits.flatMap(({ id, body, editedAtMs, version }) => [id, body, toDateTime(editedAtMs), version]),
  );
};

/** Blanks rows, each once. The version rises above the row's: an older deletion may meet a newer edit. */
const blankRows = async (database: Database, deletions: readonly Deletion[]): Promise<void> => {
  if (deletions.length === 0) return;
  await database.write(
    `UPDATE messages m JOIN ${literals(['id', 'at', 'version', 'created_before'], deletions.length)} d ON d.id = m.id
     SET m.body = '', m.deleted_at = d.at, m.updated_at = d.at, m.version = GREATEST(m.version + 1, d.version)
     WHERE ${isMeant('m', 'd.created_before')}`,
    deletions.flatMap(({ id, editedAtMs, version, before }) => [id, toDateTime(editedAtMs), version, before]),
  );
};

/**
 * Blanks rows of erased accounts, deleted ones among them. @param sender null, or '' until Redis and the index know
 */
const blankErased = async (
  database: Database,
  ids: readonly number[],
  sender: '' | null,
): Promise<StoredMessage[]> => {
  if (ids.length === 0) return [];
  const nowMs = Date.now();
  const at = toDateTime(nowMs);
  await database.write(
    `UPDATE messages SET body = '', deleted_at = COALESCE(deleted_at, ?), updated_at = ?, sender = ?, sender_name = ?,
       version = GREATEST(version + 1, ?)
     WHERE id IN (${placeholders(ids.length)})`,
    [at, at, sender, DELETED_USER, nowMs * 1000, ...ids],
  );
  const rows = [...(await findLocked(database, ids)).values()];
  await noteDeletions(database, rows);
  return rows;
};

/**
 * Blanks new messages of accounts that were erased meanwhile. An account that is erased after this look finds the rows,
 * because they are stored.
 */
const blankOfErased = async (
  database: Database,
  stored: readonly Message[],
): Promise<Map<string, Message>> => {
  const erased = await findErased(
    database,
    stored.map(({ senderId }) => senderId),
  );
  if (erased.size === 0) return new Map();
  return database.transaction(async (transaction) => {
    const found = await findStored(
      transaction,
      stored.filter(({ senderId }) => erased.has(senderId)),
    );
    const ids = [...found.values()].map(({ id }) => id);
    const rows = await blankErased(transaction, ids, null);
    return new Map(rows.map((row) => [messageReference(row), toMessage(row)]));
  });
};

/** Notes deleted messages by chat and number. */
const noteDeletions = async (database: Database, rows: readonly StoredMessage[]): Promise<void> => {
  if (rows.length === 0) return;
  await database.write(
    `INSERT INTO message_deletions (chat_id, number) VALUES ${tuples(rows.length, 2)}
     ON DUPLICATE KEY UPDATE number = VALUES(number)`,
    rows.flatMap(({ chatId, messageNumber }) => [chatId, messageNumber]),
  );
};

/** Applies the newest text and then the first deletion of each stored message. */
const applyEdits = async (
  database: Database,
  batch: readonly Edit[],
  stored: ReadonlyMap<string, StoredMessage>,
): Promise<void> => {
  const { texts = [], deletions = [] } = Object.groupBy(batch, ({ deleted }) =>
    deleted ? 'deletions' : 'texts',
  );
  const idOf = (edit: Edit) => stored.get(messageReference(edit))?.id;
  await updateRows(database, newestOf(texts, idOf));
  for (const round of deletionRounds(deletions, idOf)) await blankRows(database, round);
};

/** @returns those of the commands whose chats or applications are deleted */
const findLate = async <Command extends Edit>(
  database: Database,
  batch: readonly Command[],
): Promise<Set<Command>> => {
  const [chats, orphans] = await Promise.all([
    findDeletedChats(database, batch),
    findOrphans(database, batch),
  ]);
  return new Set(batch.filter((command) => orphans.has(command) || chats.has(chatReference(command))));
};

export const createMessages = (database: Database) => ({
  /** Stores new messages. @returns `stored` contains each message once, as its row is now */
  insert: async <Command extends Creation>(
    batch: readonly Command[],
  ): Promise<Outcome<Command, SettledMessage>> => {
    const { stored, ...others } = await storeCreations(database, createMessageCommand, creations, batch);
    const once = new Map(
      stored.map(({ command, row }) => [messageReference(row), { ...row, digest: command.digest }]),
    );
    const messages = [...once.values()];
    const blank = await blankOfErased(database, messages);
    return {
      ...others,
      stored: messages.map((message) => ({ ...message, ...blank.get(messageReference(message)) })),
    };
  },

  /**
   * Applies the newest edit of each message, and deletions. An edit whose message is not stored yet is deferred. One in a
   * deleted chat is dropped.
   * @returns `stored` contains one message for each edit, as its row is now
   */
  update: async <Command extends Edit>(
    batch: readonly Command[],
  ): Promise<Outcome<Command, SettledMessage>> => {
    const late = await findLate(database, batch);
    const edits = batch.filter((command) => !late.has(command));
    return database.transaction(async (transaction) => {
      const before = await findStored(transaction, edits);
      await applyEdits(transaction, edits, before);
      // Another writer may have changed the rows before this write, so they are read again.
      const after = await findLocked(
        transaction,
        [...before.values()].map(({ id }) => id),
      );
      // A handler may have blanked the row before, so rows are noted by their commands.
      const deleted = new Set(edits.filter(({ deleted }) => deleted).map(messageReference));
      await noteDeletions(
        transaction,
        [...after].flatMap(([reference, row]) =>
          deleted.has(reference) && row.deletedAtMs !== undefined ? [row] : [],
        ),
      );
      const outcome: Outcome<Command, SettledMessage> = {
        stored: [],
        deferred: [],
        dead: [],
        dropped: [...late],
      };
      for (const command of edits) {
        const row = after.get(messageReference(command));
        if (row === undefined) outcome.deferred.push({ command, reason: 'its message is not stored yet' });
        else
          outcome.stored.push({
            ...toMessage(row),
            commandId: command.commandId,
            digest: command.digest,
            deleted: command.deleted,
          });
      }
      await insertChanges(
        transaction,
        updateMessageCommand,
        edits.filter((command) => after.has(messageReference(command))),
      );
      await recordHandled(transaction, updateMessageCommand, batch, outcome);
      return outcome;
    });
  },

  /**
   * A page, newest first or, with `after`, oldest first: from a cursor (exclusive), or after `skip` rows; without the
   * numbers in `except`.
   */
  page: async (
    { token, chatNumber }: { token: string; chatNumber: number },
    {
      before,
      after,
      skip,
      count,
      except = [],
    }: PageStart & { skip: number; count: number; except?: readonly number[] },
  ): Promise<Message[]> => {
    const values: Value[] = [token, chatNumber];
    let where = 'token = ? AND chat_number = ?';
    const place = after === 'start' ? undefined : (after ?? before);
    const [beyond, direction] = after === undefined ? ['<', 'DESC'] : ['>', 'ASC'];
    const order = `ORDER BY created_at ${direction}, number ${direction}`;
    if (place !== undefined) {
      const at = toDateTime(place.createdAtMs);
      where += ` AND (created_at ${beyond} ? OR (created_at = ? AND number ${beyond} ?))`;
      values.push(at, at, place.messageNumber);
    }
    if (except.length > 0) {
      where += ` AND number NOT IN (${placeholders(except.length)})`;
      values.push(...except);
    }
    // With the index named, the servers begin at the cursor. Without it, they read every newer row first. EXPLAIN does not
    // show the difference, so a test counts the rows that are read.
    const from = `FROM messages FORCE INDEX (messages_page) WHERE ${where} ${order}`;
    // Skipped rows are read from the index alone. Only the rows of the page are fetched.
    const rows =
      skip === 0
        ? await database.select(`SELECT ${columns} ${from} LIMIT ?`, [...values, count])
        : await database.select(
            `SELECT ${columns} FROM (SELECT id ${from} LIMIT ? OFFSET ?) page
               JOIN messages USING (id) ${order}`,
            [...values, count, skip],
          );
    return rows.map((row) => toMessage(toStored(row)));
  },

  find: async (refs: readonly MessageReference[]): Promise<Message[]> =>
    [...(await findStored(database, refs)).values()].map(toMessage),

  /** Whether stored messages are deleted, and the commands that created them, by {@link messageReference}. */
  states: async (
    refs: readonly MessageReference[],
  ): Promise<Map<string, { isDeleted: boolean; commandId: number }>> => {
    if (refs.length === 0) return new Map();
    const rows = await selectRows(database, 'token, chat_number, number, command_id, deleted_at', refs);
    return new Map(
      rows.map((row) => [
        messageReference({ token: row.token, chatNumber: row.chat_number, messageNumber: row.number }),
        { isDeleted: row.deleted_at !== null, commandId: row.command_id },
      ]),
    );
  },

  /**
   * Blanks a stored message at once, before its deletion is consumed. A row that a later command has created stays: after
   * a loss of Redis, its number may have been given again.
   */
  blank: async (
    message: MessageReference,
    { deletedAtMs, commandId }: { deletedAtMs: number; commandId: number },
  ): Promise<void> => {
    // By its primary key. By its number, the update would also lock the place of the next message.
    const [row] = await database.select(
      'SELECT id FROM messages WHERE token = ? AND chat_number = ? AND number = ?',
      [message.token, message.chatNumber, message.messageNumber],
    );
    if (row === undefined) return;
    await blankRows(database, [
      { id: row.id, editedAtMs: deletedAtMs, version: commandId, before: commandId },
    ]);
  },

  /**
   * Blanks the next messages of an erased user, after the row `afterId`. They stay among the next ones until `noteErased`.
   * @returns the rows as they are now, in the order of their ids
   */
  eraseNext: (userId: number, afterId: number, count: number): Promise<ErasedMessage[]> =>
    database.transaction(async (transaction) => {
      const found = await transaction.select(
        `SELECT id FROM messages FORCE INDEX (messages_creator) WHERE creator_id = ? AND id > ?
           AND (deleted_at IS NULL OR sender IS NOT NULL OR sender_name <> ?)
         ORDER BY id LIMIT ?`,
        [userId, afterId, DELETED_USER, count],
      );
      const ids: number[] = found.map((row) => row.id);
      const rows = await blankErased(transaction, ids, '');
      return rows.sort((one, other) => one.id - other.id);
    }),

  /** Notes that Redis and the index have heard of the blanking of these rows. */
  noteErased: async (ids: readonly number[]): Promise<void> => {
    await database.write(
      `UPDATE messages SET sender = NULL WHERE id IN (${placeholders(ids.length)}) AND sender = ''`,
      ids,
    );
  },

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
