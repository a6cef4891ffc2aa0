import * as z from 'zod';
import { notFound } from '#lib/domain/errors.ts';
import { windowLimits } from '#lib/domain/limits.ts';
import type { Edit, Message } from '#lib/domain/message.ts';
import type { Position } from '#lib/domain/position.ts';
import { beginWindow, finishWindow } from './build-window.ts';
import type { RedisClient } from './client.ts';
import { guarded } from './guard.ts';
import { chatMember, type Keys } from './keys.ts';
import { readMessage, readPage } from './read-page.ts';
import { runScript } from './script.ts';

/** Messages are kept in Redis as the command that created them; one brought from MySQL is written likewise. */
const keptMessage = z.object({
  token: z.string(),
  chatNumber: z.int(),
  messageNumber: z.int(),
  senderId: z.int(),
  senderName: z.string(),
  body: z.string(),
  date: z.string(),
  editedAt: z.string().optional(),
  commandId: z.int(),
});
const keptEdit = z.object({
  messageNumber: z.int(),
  body: z.string(),
  date: z.string(),
  commandId: z.int(),
});

const toMessage = (json: string): Message => {
  const { date, editedAt, commandId, ...kept } = keptMessage.parse(JSON.parse(json));
  return {
    ...kept,
    createdAtMs: Date.parse(date),
    ...(editedAt === undefined ? {} : { editedAtMs: Date.parse(editedAt) }),
    version: commandId,
  };
};

const toKept = (message: Message): string => {
  const { createdAtMs, editedAtMs, version, ...kept } = message;
  return JSON.stringify({
    ...kept,
    date: new Date(createdAtMs).toISOString(),
    ...(editedAtMs === undefined ? {} : { editedAt: new Date(editedAtMs).toISOString() }),
    commandId: version,
  } satisfies z.input<typeof keptMessage>);
};

const toEdit = (json: string): Edit => {
  const { messageNumber, body, date, commandId } = keptEdit.parse(JSON.parse(json));
  return { messageNumber, body, editedAtMs: Date.parse(date), version: commandId };
};

const padded = (messageNumber: number) => String(messageNumber).padStart(10, '0');

export type Chat = { token: string; chatNumber: number };
export type PageQuery = { before?: Position | undefined; skip: number; count: number };

/**
 * What Redis knows of a page. 'whole': all of it. 'part': what MySQL may not have yet, to be merged with MySQL's page;
 * `edits` maps a message's number to the version of its newest edit on the way, undefined when those are too many to
 * list (`pendingEdits` tells of some); `cold` when a window should be built. 'deep': below more messages on the way
 * than are read for one page; a cursor leads there.
 */
export type RecentPage =
  | { kind: 'whole'; messages: { message: Message; edit: Edit | undefined }[] }
  | {
      kind: 'part';
      messages: Message[];
      edits: Map<number, number> | undefined;
      known: boolean;
      cold: boolean;
    }
  | { kind: 'deep' };

/** `[number, version, …]` */
const versionsOf = (flat: readonly string[]): Map<number, number> => {
  const versions = new Map<number, number>();
  for (let i = 0; i < flat.length; i += 2) versions.set(Number(flat[i]), Number(flat[i + 1]));
  return versions;
};

/** The newest messages of chats: those on the way to MySQL, and a bounded window of those it has. */
export const createRecentMessages = ({ client, keys }: { client: RedisClient; keys: Keys }) => {
  const chatKeys = ({ token, chatNumber }: Chat) => ({
    state: keys.state,
    verified: keys.verified,
    counter: keys.chatCounter(token, chatNumber),
    order: keys.windowOrder(token, chatNumber),
    entries: keys.windowEntries(token, chatNumber),
    pendingOrder: keys.pendingOrder(token, chatNumber),
    pendingIds: keys.pendingIds(token, chatNumber),
    pendingEdits: keys.pendingEdits(token, chatNumber),
    creates: keys.outbox('create-message'),
    updates: keys.outbox('update-message'),
    chat: chatMember(token, chatNumber),
  });

  return {
    /** @throws not-found when the counters are known and the chat has none */
    page: async (chat: Chat, { before, skip, count }: PageQuery): Promise<RecentPage> => {
      const values = {
        ...chatKeys(chat),
        score: before?.createdAtMs ?? '',
        mark: before === undefined ? '' : padded(before.messageNumber),
        skip,
        limit: count,
      };
      const answer = await guarded(client, (connection) =>
        runScript(connection, readPage, { ...values, server: connection.server }),
      );
      switch (answer[0]) {
        case 'missing':
          throw notFound('chat');
        case 'deep':
          return { kind: 'deep' };
        case 'window': {
          const flat = answer[1];
          return {
            kind: 'whole',
            messages: flat.flatMap((json, i) => {
              const edit = flat[i + 1];
              return i % 2 === 0 ? [{ message: toMessage(json), edit: edit ? toEdit(edit) : undefined }] : [];
            }),
          };
        }
        default: {
          const [state, pending, flatEdits, cold] = answer;
          return {
            kind: 'part',
            messages: pending.map(toMessage),
            edits: flatEdits === null ? undefined : versionsOf(flatEdits),
            known: state === 'known',
            cold: cold === '1',
          };
        }
      }
    },

    /** Versions of the newest edits on the way, of those of these messages that have one. */
    pendingEdits: async (chat: Chat, messageNumbers: number[]): Promise<Map<number, number>> => {
      if (messageNumbers.length === 0) return new Map();
      const versions = await guarded(client, ({ redis }) =>
        redis.hmget(chatKeys(chat).pendingEdits, ...messageNumbers.map(String)),
      );
      return new Map(
        messageNumbers.flatMap((messageNumber, i) => {
          const version = versions[i];
          return version ? [[messageNumber, Number(version)] as const] : [];
        }),
      );
    },

    /** Accepted edits by their version, as far as they are still on the way. */
    edits: async (versions: number[]): Promise<Edit[]> => {
      const updates = keys.outbox('update-message');
      const found = await guarded(client, ({ redis }) =>
        Promise.all(versions.map((version) => redis.xrange(updates, `${version}-0`, `${version}-0`))),
      );
      return found.flatMap((entries) => entries.map(([, fields]) => toEdit(fields[1] ?? '')));
    },

    /**
     * `known` is false when MySQL may have a newer version, or a message that Redis has not heard of.
     * @throws not-found when the counters are known and the number was not given yet
     */
    message: async (
      chat: Chat,
      messageNumber: number,
    ): Promise<{ known: boolean; message: Message | undefined; edit: Edit | undefined }> => {
      const values = { ...chatKeys(chat), number: messageNumber };
      const answer = await guarded(client, (connection) =>
        runScript(connection, readMessage, { ...values, server: connection.server }),
      );
      if (answer[0] === 'missing') throw notFound('message');
      const [kind, message, edit] = answer;
      return {
        known: kind === 'known',
        message: message ? toMessage(message) : undefined,
        edit: edit ? toEdit(edit) : undefined,
      };
    },

    /** @returns true for the one reader that is to bring MySQL's newest rows to `finishWindow` */
    beginWindow: async (chat: Chat, builder: string): Promise<boolean> => {
      const values = { ...chatKeys(chat), builder };
      const answer = await guarded(client, (connection) =>
        runScript(connection, beginWindow, { ...values, server: connection.server }),
      );
      return answer === 'begun';
    },

    /** @param rows newest first, as many as `windowLimits.entries`; `isAll`: the chat has no more than these */
    finishWindow: async (chat: Chat, builder: string, rows: Message[], isAll: boolean): Promise<void> => {
      const kept: { row: Message; json: string }[] = [];
      let bytes = 0;
      for (const row of rows) {
        if (bytes > windowLimits.bytes) break;
        const json = toKept(row);
        kept.push({ row, json });
        bytes += Buffer.byteLength(json);
      }
      const last = kept.at(-1)?.row;
      const holdsAll = last === undefined || (isAll && kept.length === rows.length);
      const givenFloor = holdsAll ? '-' : `${last.createdAtMs}:${padded(last.messageNumber)}`;
      await guarded(client, (connection) =>
        runScript(
          connection,
          finishWindow,
          { ...chatKeys(chat), builder, givenFloor },
          kept.map(({ row, json }) => ({
            createdAtMs: row.createdAtMs,
            number: row.messageNumber,
            version: row.version,
            json,
          })),
        ),
      );
    },
  };
};

export type RecentMessages = ReturnType<typeof createRecentMessages>;
