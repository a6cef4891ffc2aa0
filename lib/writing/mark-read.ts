import { notFound, tokenEnded } from '#lib/domain/errors.ts';
import type { ChatReference } from '#lib/domain/reference.ts';
import type { Unread } from '#lib/reading/unread.ts';
import type { Markers, Reader } from '#lib/redis/window/read-markers.ts';
import { closed } from './submit.ts';
import type { VerifyCounters } from './verify-counters.ts';

type Uses = {
  markers: Pick<Markers, 'raise'>;
  unread: Pick<Unread, 'stored' | 'storedSoon' | 'count'>;
  verifyCounters: VerifyCounters;
  /** Tells the connections of the reader. Never rejects. Nobody by default. */
  tellConnections?: (reader: Pick<Reader, 'id'>, chat: ChatReference, messageNumber: number) => Promise<void>;
  /** Starts a recovery; returns at once. */
  askForRecovery: () => void;
};

/** Tries of one write: Redis may lose a counter or a marker again while MySQL is asked for it. */
const TRIES = 5;

/**
 * Returns a function that notes how far a user has read a chat. MySQL is asked for a marker that Redis does not know, and
 * for deleted messages. It gets the marker by the next sync.
 */
export const createMarkRead = ({
  markers,
  unread,
  verifyCounters,
  tellConnections = async () => undefined,
  askForRecovery,
}: Uses) => {
  /**
   * @returns the present marker, which is higher if the user has read further
   * @throws unauthenticated (the access token has ended), not-found (no such chat, or no such message in it), unavailable
   */
  return async (
    reader: Reader,
    chat: ChatReference,
    messageNumber: number,
  ): Promise<{ messageNumber: number; unreadCount: number }> => {
    const { token, chatNumber } = chat;
    const find = () => unread.stored(reader.id, token, [chatNumber]);
    let stored: Awaited<ReturnType<typeof find>> | undefined;
    for (let left = TRIES; left > 0; left -= 1) {
      const outcome = await markers.raise(
        reader,
        chat,
        messageNumber,
        stored && (stored.get(chatNumber)?.marker ?? 0),
      );
      switch (outcome.kind) {
        case 'read': {
          const { number, messagesCount, hasConnections } = outcome;
          const told = hasConnections ? tellConnections(reader, chat, number) : undefined;
          const counted = { chatNumber, messagesCount, known: { number, isSure: true } };
          // The marker has risen: only the count waits for MySQL, a second at most.
          const deleted = stored ?? (await unread.storedSoon(reader.id, token, [chatNumber]));
          const [unreadCount = 0] = await unread.count([counted], deleted);
          await told;
          return { messageNumber: number, unreadCount };
        }
        case 'ended':
          throw tokenEnded();
        case 'missing':
          throw notFound('chat');
        case 'above':
          throw notFound('message');
        case 'unverified':
          if (!(await verifyCounters([chat, { token }], outcome.lost))) throw notFound('chat');
          break;
        case 'unknown':
          stored = await find();
          break;
        case 'closed':
          askForRecovery();
          throw closed();
      }
    }
    throw closed();
  };
};

export type MarkRead = ReturnType<typeof createMarkRead>;
