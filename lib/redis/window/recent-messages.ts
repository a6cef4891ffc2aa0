import { numberUpTo } from '#lib/domain/change.ts';
import { notFound } from '#lib/domain/errors.ts';
import { windowLimits } from '#lib/domain/limits.ts';
import type { Edit, Message } from '#lib/domain/message.ts';
import type { PageStart } from '#lib/domain/position.ts';
import {
  type ChatReference,
  chatReference,
  type MessageReference,
  messageReference,
} from '#lib/domain/reference.ts';
import type { RedisClient } from '../connection/client.ts';
import { guarded } from '../connection/guard.ts';
import { marks } from '../gate/gate.lua.ts';
import type { Keys } from '../script/keys.ts';
import { defineScript, runScript } from '../script/script.ts';
import { beginWindow, finishWindow } from './build-window.ts';
import { toEdit, toKept, toMessage } from './kept-message.ts';
import { readMessages, readPage } from './read-page.ts';

const padded = (messageNumber: number) => String(messageNumber).padStart(10, '0');

export type PageQuery = PageStart & { skip: number; count: number };

/**
 * The result of reading a page from Redis. 'whole': the complete page. 'part': the pending messages, to merge
 * with MySQL's page. `edits` maps a message's number to the version of its newest pending edit; it is
 * undefined if there are too many, and `pendingEdits` then reads some. `isAuthoritative` is false if MySQL may have
 * newer or further messages. `cold`: a window should be built.
 * `upTo`: the page has every change up to it, with MySQL's rows; undefined if it may lag.
 * 'deep': more messages are pending above the page than one read may skip; use a cursor.
 */
export type RecentPage =
  | { kind: 'whole'; messages: { message: Message; edit: Edit | undefined }[]; upTo: number | undefined }
  | {
      kind: 'part';
      messages: Message[];
      edits: Map<number, number> | undefined;
      isAuthoritative: boolean;
      cold: boolean;
      upTo: number | undefined;
    }
  | { kind: 'deep' };

/** `isAuthoritative` is false if MySQL may have a newer version, or a message that Redis lacks. */
export type RecentMessage = {
  isAuthoritative: boolean;
  message: Message | undefined;
  edit: Edit | undefined;
};

const toRecent = (
  answer: ['missing'] | ['authoritative' | 'provisional', message: string, edit: string],
): RecentMessage | 'missing' => {
  if (answer[0] === 'missing') return 'missing';
  const [kind, message, edit] = answer;
  return {
    isAuthoritative: kind === 'authoritative',
    message: message ? toMessage(message) : undefined,
    edit: edit ? toEdit(edit) : undefined,
  };
};

/** @param clock empty while the gate is closed */
const upToOf = (clock: string | undefined): number | undefined =>
  clock ? numberUpTo(Number(clock)) : undefined;

/** `[number, version, …]` */
const versionsOf = (flat: readonly string[]): Map<number, number> => {
  const versions = new Map<number, number>();
  for (let i = 0; i < flat.length; i += 2) versions.set(Number(flat[i]), Number(flat[i + 1]));
  return versions;
};

const forgetChats = defineScript(
  {
    uses: [marks],
    keys: ['dirty'],
    each: {
      keys: ['counter', 'order', 'entries', 'pendingOrder', 'pendingIds', 'pendingEdits'],
      args: ['chat'],
    },
  },
  /* lua */ `
  redis.call('UNLINK', order, entries, pendingOrder, pendingIds, pendingEdits)
  local count = redis.call('GET', counter)
  if count and (exists(count) or redis.call('TTL', counter) < 0) then markStored(counter, dirty, chat) end
`,
);

/** Reads the newest messages of chats: pending ones, and a bounded window of stored ones. */
export const createRecentMessages = ({ client, keys }: { client: RedisClient; keys: Keys }) => {
  const chatKeys = ({ token, chatNumber }: ChatReference) => ({
    state: keys.state,
    verified: keys.verified,
    counter: keys.chatCounter(token, chatNumber),
    application: keys.applicationCounter(token),
    order: keys.windowOrder(token, chatNumber),
    entries: keys.windowEntries(token, chatNumber),
    pendingOrder: keys.pendingOrder(token, chatNumber),
    pendingIds: keys.pendingIds(token, chatNumber),
    pendingEdits: keys.pendingEdits(token, chatNumber),
    creates: keys.outbox('create-message'),
    updates: keys.outbox('update-message'),
    chat: chatReference({ token, chatNumber }),
    token,
  });

  return {
    /** @throws not-found if counters are trusted and the chat has none */
    page: async (chat: ChatReference, { before, after, skip, count }: PageQuery): Promise<RecentPage> => {
      const place = after === 'start' ? undefined : (after ?? before);
      const values = {
        ...chatKeys(chat),
        score: place?.createdAtMs ?? '',
        mark: place === undefined ? '' : padded(place.messageNumber),
        upwards: after === undefined ? '' : '1',
        skip,
        limit: count,
      };
      const answer = await guarded(client, runScript(readPage, { ...values }));
      switch (answer[0]) {
        case 'missing':
          throw notFound('chat');
        case 'deep':
          return { kind: 'deep' };
        case 'window': {
          const [, flat, isAuthoritative, clock] = answer;
          return {
            kind: 'whole',
            upTo: isAuthoritative === '1' ? upToOf(clock) : undefined,
            messages: flat.flatMap((json, i) => {
              const edit = flat[i + 1];
              return i % 2 === 0 ? [{ message: toMessage(json), edit: edit ? toEdit(edit) : undefined }] : [];
            }),
          };
        }
        default: {
          const [state, pending, flatEdits, cold, clock] = answer;
          return {
            kind: 'part',
            messages: pending.map(toMessage),
            edits: flatEdits === null ? undefined : versionsOf(flatEdits),
            isAuthoritative: state === 'authoritative',
            cold: cold === '1',
            upTo: state === 'authoritative' ? upToOf(clock) : undefined,
          };
        }
      }
    },

    /** The versions of the newest pending edits of these messages. */
    pendingEdits: async (chat: ChatReference, messageNumbers: number[]): Promise<Map<number, number>> => {
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

    /** The references of those messages whose creation is in the outbox. */
    pendingAmong: async (refs: readonly MessageReference[]): Promise<Set<string>> => {
      const creates = keys.outbox('create-message');
      const pending = await guarded(client, ({ redis }) =>
        Promise.all(
          refs.map(async ({ token, chatNumber, messageNumber }) => {
            const id = await redis.hget(keys.pendingIds(token, chatNumber), String(messageNumber));
            return id !== null && (await redis.xrange(creates, `${id}-0`, `${id}-0`)).length > 0;
          }),
        ),
      );
      return new Set(refs.filter((_message, at) => pending[at]).map(messageReference));
    },

    /** The pending edits with these versions. */
    edits: async (versions: number[]): Promise<Edit[]> => {
      const updates = keys.outbox('update-message');
      const found = await guarded(client, ({ redis }) =>
        Promise.all(versions.map((version) => redis.xrange(updates, `${version}-0`, `${version}-0`))),
      );
      return found.flatMap((entries) => entries.map(([, fields]) => toEdit(fields[1] ?? '')));
    },

    /**
     * Messages as far as Redis has them, in the order of `refs`; 'missing' if the counters are trusted and the chat is
     * deleted or the number was not given yet. `upTo`: they have every change up to it; undefined while the gate is closed.
     * @throws unavailable
     */
    messages: async (
      refs: readonly MessageReference[],
    ): Promise<{ upTo: number | undefined; found: (RecentMessage | 'missing')[] }> => {
      if (refs.length === 0) return { upTo: undefined, found: [] };
      const { state, verified } = keys;
      const creates = keys.outbox('create-message');
      const updates = keys.outbox('update-message');
      const [clock, found] = await guarded(
        client,
        runScript(
          readMessages,
          { state, verified, creates, updates },
          refs.map(({ messageNumber, ...chat }) => ({ ...chatKeys(chat), number: messageNumber })),
        ),
      );
      return { upTo: upToOf(clock), found: found.map(toRecent) };
    },

    /**
     * Forgets the messages of chats that MySQL has deleted. A counter becomes a mark, also that of a chat whose application
     * was deleted. @throws unavailable
     */
    forget: async (chats: readonly ChatReference[]): Promise<void> => {
      if (chats.length === 0) return;
      await guarded(client, runScript(forgetChats, { dirty: keys.dirtyChats }, chats.map(chatKeys)));
    },

    /** @returns true for one reader, which then calls `finishWindow` with MySQL's newest rows */
    beginWindow: async (chat: ChatReference, builder: string): Promise<boolean> => {
      const values = { ...chatKeys(chat), builder };
      const answer = await guarded(client, runScript(beginWindow, { ...values }));
      return answer === 'begun';
    },

    /**
     * @param rows newest first, at most `windowLimits.entries`. @param isAll whether these are all messages
     * of the chat
     */
    finishWindow: async (
      chat: ChatReference,
      builder: string,
      rows: Message[],
      isAll: boolean,
    ): Promise<void> => {
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
      await guarded(
        client,
        runScript(
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
