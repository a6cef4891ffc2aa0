import { ifAvailable } from '#lib/concurrency/if-available.ts';
import { within } from '#lib/concurrency/within.ts';
import { unavailable } from '#lib/domain/errors.ts';
import { limits } from '#lib/domain/limits.ts';
import type { ReadMarkers } from '#lib/mysql/read-markers.ts';
import type { KnownMarker, Markers } from '#lib/redis/window/read-markers.ts';

/** The facts of MySQL about a reader's stored chats, by chat number. */
type Stored = Awaited<ReturnType<ReadMarkers['find']>>;

/** A chat with its number of messages, and with the reader's marker as far as Redis knows it. */
type Counted = { chatNumber: number; messagesCount: number; known: KnownMarker | undefined };

const WAIT_MS = 1_000;
const tooSlow = () => unavailable('The database does not answer.');

/** Counts the messages that a user has not read. */
export const createUnread = ({
  markers,
  readMarkers,
}: {
  markers: Pick<Markers, 'read'>;
  readMarkers: Pick<ReadMarkers, 'find'>;
}) => ({
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
  storedSoon: (userId: number, token: string, chatNumbers: readonly number[]): Promise<Stored | undefined> =>
    ifAvailable(within(WAIT_MS, readMarkers.find(userId, token, chatNumbers), tooSlow)),

  /** @param stored undefined while MySQL does not answer: markers then count as far as Redis knows them */
  count: async (chats: readonly Counted[], stored: Stored | undefined): Promise<number[]> =>
    chats.map(({ chatNumber, messagesCount, known }) => {
      const ofRow = known?.isSure ? 0 : (stored?.get(chatNumber)?.marker ?? 0);
      const marker = Math.max(known?.number ?? 0, ofRow);
      return Math.min(limits.unread, Math.max(0, messagesCount - marker));
    }),
});

export type Unread = ReturnType<typeof createUnread>;
