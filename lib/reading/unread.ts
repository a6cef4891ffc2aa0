import { ifAvailable } from '#lib/concurrency/if-available.ts';
import { within } from '#lib/concurrency/within.ts';
import { unavailable } from '#lib/domain/errors.ts';
import { limits } from '#lib/domain/limits.ts';
import type { NumberRange, ReadMarkers } from '#lib/mysql/read-markers.ts';
import type { KnownMarker, Markers } from '#lib/redis/window/read-markers.ts';

/** The facts of MySQL about a reader's stored chats, by chat number. */
type Stored = Awaited<ReturnType<ReadMarkers['find']>>;

/** A chat with its number of messages, and with the reader's marker as far as Redis knows it. */
type Counted = { chatNumber: number; messagesCount: number; known: KnownMarker | undefined };

const WAIT_MS = 1_000;
/** The most numbers that one request looks at for deleted messages, over all its chats. Older ones count as not deleted. */
export const LOOKED_AT = 200_000;
const tooSlow = () => unavailable('The database does not answer.');

/** Counts the messages that a user has not read. */
export const createUnread = ({
  markers,
  readMarkers,
}: {
  markers: Pick<Markers, 'read'>;
  readMarkers: Pick<ReadMarkers, 'find' | 'countDeleted'>;
}) => {
  /**
   * Counts numbers without deleted ones, from the newest down, until enough are unread. Each step looks at more numbers. Of
   * so many deleted messages that it may look no further, the rest counts as unread.
   */
  const countWithoutDeleted = async (ranges: readonly NumberRange[]): Promise<Map<number, number>> => {
    const counts = new Map(ranges.map(({ chatId }) => [chatId, 0]));
    const add = (chatId: number, count: number) => counts.set(chatId, (counts.get(chatId) ?? 0) + count);
    let left = ranges.filter(({ from, to }) => to > from);
    let mayLookAt = LOOKED_AT;
    for (let width: number = limits.unread; left.length > 0; width *= 4) {
      const each = Math.min(width, Math.floor(mayLookAt / left.length));
      if (each === 0) break;
      const parts = left.map(({ from, ...range }) => ({ ...range, from: Math.max(from, range.to - each) }));
      const deleted = await readMarkers.countDeleted(parts);
      for (const { chatId, from, to } of parts) {
        add(chatId, to - from - (deleted.get(chatId) ?? 0));
        mayLookAt -= to - from;
      }
      left = left.flatMap((range, i) => {
        const to = parts[i]?.from ?? range.from;
        const isEnough = (counts.get(range.chatId) ?? 0) >= limits.unread;
        return isEnough || to <= range.from ? [] : [{ ...range, to }];
      });
    }
    for (const { chatId, from, to } of left) add(chatId, to - from);
    return counts;
  };

  return {
    /** The markers that Redis knows, by the order of the chats. Empty while Redis does not answer. */
    known: async (
      userId: number,
      token: string,
      chatNumbers: readonly number[],
    ): Promise<(KnownMarker | undefined)[]> =>
      (await ifAvailable(markers.read(userId, token, chatNumbers))) ?? [],

    /** The markers that MySQL has. @throws unavailable */
    stored: (userId: number, token: string, chatNumbers: readonly number[]): Promise<Stored> =>
      readMarkers.find(userId, token, chatNumbers),

    /** As `stored`, for pending chats, which Redis can answer alone: undefined if MySQL does not answer within a second. */
    storedSoon: (
      userId: number,
      token: string,
      chatNumbers: readonly number[],
    ): Promise<Stored | undefined> =>
      ifAvailable(within(WAIT_MS, readMarkers.find(userId, token, chatNumbers), tooSlow)),

    /** @param stored undefined while MySQL does not answer: markers then count as far as Redis knows them, and deleted messages too */
    count: async (chats: readonly Counted[], stored: Stored | undefined): Promise<number[]> => {
      const marked = chats.map(({ chatNumber, messagesCount, known }) => {
        const row = stored?.get(chatNumber);
        const marker = Math.max(known?.number ?? 0, known?.isSure ? 0 : (row?.marker ?? 0));
        return { row, marker, messagesCount };
      });
      const counts = await countWithoutDeleted(
        marked.flatMap(({ row, marker, messagesCount }) =>
          row !== undefined && row.newestDeleted > marker
            ? [{ chatId: row.chatId, from: marker, to: messagesCount }]
            : [],
        ),
      );
      return marked.map(({ row, marker, messagesCount }) => {
        const counted = row && counts.get(row.chatId);
        return Math.min(limits.unread, Math.max(0, counted ?? messagesCount - marker));
      });
    },
  };
};

export type Unread = ReturnType<typeof createUnread>;
