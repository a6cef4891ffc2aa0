import { ifAvailable } from '#lib/concurrency/if-available.ts';
import { chatReference, messageReference } from '#lib/domain/reference.ts';
import type { Chats } from '#lib/mysql/chats.ts';
import type { Messages } from '#lib/mysql/messages.ts';
import type { Counters } from '#lib/redis/gate/counters.ts';
import type { DeletedMessages } from '#lib/redis/window/deleted-messages.ts';

/**
 * Returns a function that leaves out the hits of a search that were deleted since the index was written. Redis knows the
 * latest deletions, also of chats. Without Redis, while the gate is closed, and once Redis has lost data, MySQL is asked as well, and hits
 * without a row are left out. @throws unavailable if neither can tell
 */
export const createWithoutDeleted =
  ({
    chats,
    counters,
    deletedMessages,
    messages,
  }: {
    chats: Pick<Chats, 'deletedAmong'>;
    counters: Pick<Counters, 'read'>;
    deletedMessages: Pick<DeletedMessages, 'among'>;
    messages: Pick<Messages, 'states'>;
  }) =>
  async <Hit extends { chatNumber: number; messageNumber: number }>(
    token: string,
    hits: readonly Hit[],
  ): Promise<Hit[]> => {
    if (hits.length === 0) return [];
    const refs = hits.map(({ chatNumber, messageNumber }) => ({ token, chatNumber, messageNumber }));
    const ofChats = [...new Set(hits.map(({ chatNumber }) => chatNumber))].map((chatNumber) => ({
      token,
      chatNumber,
    }));
    const [recent, counts] = await Promise.all([
      ifAvailable(deletedMessages.among(refs)),
      ifAvailable(counters.read(ofChats)),
    ]);
    const gone = new Set(ofChats.filter((_chat, i) => counts?.[i] === 'missing').map(chatReference));
    const unsure = ofChats.filter((_chat, i) => counts === undefined || counts[i] === 'unknown');
    for (const chat of unsure.length === 0 ? [] : await chats.deletedAmong(unsure)) gone.add(chat);
    const rows = recent?.knowsAll ? undefined : await messages.states(refs);
    return hits.filter(({ chatNumber, messageNumber }) => {
      const reference = messageReference({ token, chatNumber, messageNumber });
      if (recent?.deleted.has(reference) || gone.has(chatReference({ token, chatNumber }))) return false;
      return rows === undefined || rows.get(reference)?.isDeleted === false;
    });
  };

export type WithoutDeleted = ReturnType<typeof createWithoutDeleted>;
