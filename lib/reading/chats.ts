import { ifAvailable } from '#lib/concurrency/if-available.ts';
import { notFound, notKnownYet } from '#lib/domain/errors.ts';
import { limits } from '#lib/domain/limits.ts';
import type { Applications } from '#lib/mysql/applications.ts';
import type { Chats } from '#lib/mysql/chats.ts';
import type { Counters } from '#lib/redis/gate/counters.ts';
import type { Directory, PendingChat } from '#lib/redis/window/directory.ts';

type Listed = { chatNumber: number; title?: string; messagesCount: number };
/** A chat with the version of its title. */
type Versioned = Listed & { version: number };
type Titled = { title: string | undefined; version: number };

/** The newer one of what Redis and MySQL have. */
const newer = (pending: Titled | undefined, row: Titled | undefined): Titled | undefined =>
  pending === undefined || (row !== undefined && row.version > pending.version) ? row : pending;

/** Reads accepted chats, stored or pending. Counts come from the counters. */
export const createChatDirectory = ({
  directory,
  counters,
  chats,
  applications,
}: {
  directory: Pick<Directory, 'pendingChats'>;
  counters: Pick<Counters, 'read'>;
  chats: Pick<Chats, 'find' | 'list'>;
  applications: Pick<Applications, 'find'>;
}) => {
  const listed = (chatNumber: number, title: string | undefined, messagesCount: number): Listed => ({
    chatNumber,
    ...(title ? { title } : {}),
    messagesCount,
  });
  /** @returns undefined if only MySQL knows the count. @throws not-found */
  const count = async (
    what: string,
    of: { token: string; chatNumber?: number },
  ): Promise<number | undefined> => {
    const [value = 'unknown'] = (await ifAvailable(counters.read([of]))) ?? [];
    if (value === 'missing') throw notFound(what);
    return value === 'unknown' ? undefined : value;
  };

  return {
    /** @throws not-found, unavailable */
    get: async (token: string, chatNumber: number): Promise<Versioned> => {
      const [known, pendingChats] = await Promise.all([
        count('chat', { token, chatNumber }),
        ifAvailable(directory.pendingChats(token, [chatNumber])),
      ]);
      const pending = pendingChats?.get(chatNumber);
      const row = known !== undefined && pending?.isNewest ? undefined : await chats.find(token, chatNumber);
      if (row === undefined && known === undefined) throw notKnownYet('chat');
      const { title, version = 0 } = newer(pending, row) ?? {};
      return { ...listed(chatNumber, title, known ?? row?.messagesCount ?? 0), version };
    },

    /**
     * The highest message number that was given, or the greatest possible one while it is unknown. @throws
     * not-found, unavailable
     */
    messagesCount: async (token: string, chatNumber: number): Promise<number> => {
      const known = await count('chat', { token, chatNumber });
      if (known !== undefined) return known;
      const row = await chats.find(token, chatNumber);
      if (row === undefined) throw notKnownYet('chat');
      return limits.number;
    },

    /** By number. @throws not-found, unavailable */
    list: async (
      token: string,
      { skip, count: wanted }: { skip: number; count: number },
    ): Promise<Listed[]> => {
      const known = await count('application', { token });
      const to = Math.min(skip + wanted, known ?? Number.MAX_SAFE_INTEGER);
      if (to <= skip) return [];
      if (known === undefined) {
        const rows = await chats.list(token, skip + 1, to);
        if (rows.length === 0 && (await applications.find(token)) === undefined)
          throw notKnownYet('application');
        return rows.map((row) => listed(row.chatNumber, row.title, row.messagesCount));
      }
      const numbers = Array.from({ length: to - skip }, (_, i) => skip + 1 + i);
      const [pending, counts] = (await ifAvailable(
        Promise.all([
          directory.pendingChats(token, numbers),
          counters.read(numbers.map((chatNumber) => ({ token, chatNumber }))),
        ]),
      )) ?? [new Map<number, PendingChat>(), []];
      const allPending = numbers.every((chatNumber) => pending.get(chatNumber)?.isNewest);
      const rows = allPending ? [] : await chats.list(token, skip + 1, to);
      const byNumber = new Map(rows.map((row) => [row.chatNumber, row]));
      return numbers.map((chatNumber, i) => {
        const row = byNumber.get(chatNumber);
        const counted = counts[i];
        return listed(
          chatNumber,
          newer(pending.get(chatNumber), row)?.title,
          typeof counted === 'number' ? counted : (row?.messagesCount ?? 0),
        );
      });
    },
  };
};

export type ChatDirectory = ReturnType<typeof createChatDirectory>;
