import { ifAvailable } from '#lib/concurrency/if-available.ts';
import { notFound, notKnownYet } from '#lib/domain/errors.ts';
import { limits } from '#lib/domain/limits.ts';
import { chatReference } from '#lib/domain/reference.ts';
import type { Applications } from '#lib/mysql/applications.ts';
import type { Chats } from '#lib/mysql/chats.ts';
import type { Counters } from '#lib/redis/gate/counters.ts';
import type { Directory, PendingChat } from '#lib/redis/window/directory.ts';
import type { Unread } from './unread.ts';

type Listed = { chatNumber: number; title?: string; messagesCount: number; unreadCount: number };

/** A chat with the version of its title. `upTo`: it has every change up to there; undefined if it may lag. */
type Versioned = Listed & { version: number; upTo?: number | undefined };
type Titled = { title: string | undefined; version: number };

/** The newer title of Redis and MySQL. */
const newer = (pending: Titled | undefined, row: Titled | undefined): Titled | undefined =>
  pending === undefined || (row !== undefined && row.version > pending.version) ? row : pending;

/** A chat with the reader's marker as far as Redis knows it. */
type Found = Parameters<Unread['count']>[0][number] & { title: string | undefined };
type Stored = Awaited<ReturnType<Unread['stored']>>;

const toListed = ({ chatNumber, title, messagesCount }: Found, unreadCount: number): Listed => ({
  chatNumber,
  ...(title ? { title } : {}),
  messagesCount,
  unreadCount,
});

/** Reads accepted chats, stored or pending. Counts come from the counters, and from the reader's markers. */
export const createChatDirectory = ({
  directory,
  counters,
  chats,
  applications,
  unread,
}: {
  directory: Pick<Directory, 'pendingChats'>;
  counters: Pick<Counters, 'read' | 'look'>;
  chats: Pick<Chats, 'find' | 'list' | 'hasAbove' | 'deletedAmong'>;
  applications: Pick<Applications, 'find'>;
  unread: Unread;
}) => {
  const listed = async (found: readonly Found[], stored: Stored | undefined): Promise<Listed[]> => {
    const unreadCounts = await unread.count(found, stored);
    return found.map((one, i) => toListed(one, unreadCounts[i] ?? 0));
  };
  /**
   * The count, and the number up to which reads that follow have every change. Both are undefined if only MySQL knows the count.
   * @throws not-found
   */
  const count = async (
    what: string,
    of: { token: string; chatNumber?: number },
  ): Promise<{ counted?: number; upTo?: number | undefined }> => {
    const looked = await ifAvailable(counters.look([of]));
    const [value = 'unknown'] = looked?.counts ?? [];
    if (value === 'missing') throw notFound(what);
    return value === 'unknown' ? {} : { counted: value, upTo: looked?.upTo };
  };

  return {
    /** A chat as this user sees it. @throws not-found, unavailable */
    get: async (userId: number, token: string, chatNumber: number): Promise<Versioned> => {
      const [{ counted, upTo }, pendingChats, [known]] = await Promise.all([
        count('chat', { token, chatNumber }),
        ifAvailable(directory.pendingChats(token, [chatNumber])),
        unread.known(userId, token, [chatNumber]),
      ]);
      const pending = pendingChats?.get(chatNumber);
      const shown = async (
        titled: Titled | undefined,
        messagesCount: number,
        stored: Stored | undefined,
      ): Promise<Versioned> => {
        const one = { chatNumber, known, title: titled?.title, messagesCount };
        const [unreadCount = 0] = await unread.count([one], stored);
        return {
          ...toListed(one, unreadCount),
          version: titled?.version ?? 0,
          upTo: pendingChats === undefined ? undefined : upTo,
        };
      };
      if (counted !== undefined && pending?.isNewest)
        return shown(pending, counted, await unread.storedSoon(userId, token, [chatNumber]));
      const [row, stored] = await Promise.all([
        chats.find(token, chatNumber),
        unread.stored(userId, token, [chatNumber]),
      ]);
      if (row?.isDeleted) throw notFound('chat');
      if (row === undefined && counted === undefined) throw notKnownYet('chat');
      return shown(newer(pending, row), counted ?? row?.messagesCount ?? 0, stored);
    },

    /**
     * The highest message number that was given, or the greatest possible one while it is unknown. @throws
     * not-found, unavailable
     */
    messagesCount: async (token: string, chatNumber: number): Promise<number> => {
      const { counted } = await count('chat', { token, chatNumber });
      if (counted !== undefined) return counted;
      const row = await chats.find(token, chatNumber);
      if (row?.isDeleted) throw notFound('chat');
      if (row === undefined) throw notKnownYet('chat');
      return limits.number;
    },

    /**
     * Chats as this user sees them, by number: those of a range of numbers that are not deleted, perhaps none. `hasMore`:
     * higher numbers were given. @throws not-found, unavailable
     */
    list: async (
      userId: number,
      token: string,
      { skip, count: wanted }: { skip: number; count: number },
    ): Promise<{ chats: Listed[]; hasMore: boolean; upTo?: number | undefined }> => {
      const { counted: known, upTo } = await count('application', { token });
      const to = Math.min(skip + wanted, known ?? Number.MAX_SAFE_INTEGER);
      if (to <= skip) return { chats: [], hasMore: false, upTo };
      if (known === undefined) {
        const [application, rows, hasMore] = await Promise.all([
          applications.find(token),
          chats.list(token, skip + 1, to),
          chats.hasAbove(token, to),
        ]);
        if (application?.isDeleted) throw notFound('application');
        if (application === undefined) throw notKnownYet('application');
        const numbers = rows.map(({ chatNumber }) => chatNumber);
        const markers = await unread.known(userId, token, numbers);
        const found = rows.map((row, i) => ({ ...row, known: markers[i] }));
        return { chats: await listed(found, await unread.stored(userId, token, numbers)), hasMore };
      }
      const numbers = Array.from({ length: to - skip }, (_, i) => skip + 1 + i);
      const [fromRedis, markers] = await Promise.all([
        ifAvailable(
          Promise.all([
            directory.pendingChats(token, numbers),
            counters.read(numbers.map((chatNumber) => ({ token, chatNumber }))),
          ]),
        ),
        unread.known(userId, token, numbers),
      ]);
      const [pending, counts] = fromRedis ?? [new Map<number, PendingChat>(), []];
      const [rows, stored] = numbers.every((chatNumber) => pending.get(chatNumber)?.isNewest)
        ? [[], await unread.storedSoon(userId, token, numbers)]
        : await Promise.all([chats.list(token, skip + 1, to), unread.stored(userId, token, numbers)]);
      const byNumber = new Map(rows.map((row) => [row.chatNumber, row]));
      // After a rollback, Redis may have the creation of a chat that was deleted since.
      const unsure = numbers.filter(
        (chatNumber, i) => counts[i] === 'unknown' && pending.has(chatNumber) && !byNumber.has(chatNumber),
      );
      const deleted =
        unsure.length === 0
          ? new Set()
          : await chats.deletedAmong(unsure.map((chatNumber) => ({ token, chatNumber })));
      const found = numbers.flatMap((chatNumber, i) => {
        const shown = newer(pending.get(chatNumber), byNumber.get(chatNumber));
        const counted = counts[i];
        const messagesCount = typeof counted === 'number' ? counted : byNumber.get(chatNumber)?.messagesCount;
        if (deleted.has(chatReference({ token, chatNumber }))) return [];
        // MySQL lists no deleted chat. Without a counter and a row, the chat may be one.
        if (counted === 'missing' || (messagesCount === undefined && shown === undefined)) return [];
        return [{ chatNumber, title: shown?.title, messagesCount: messagesCount ?? 0, known: markers[i] }];
      });
      const mayLag = fromRedis === undefined || counts.includes('unknown');
      return {
        chats: await listed(found, stored),
        hasMore: to < known,
        upTo: mayLag ? undefined : upTo,
      };
    },
  };
};

export type ChatDirectory = ReturnType<typeof createChatDirectory>;
