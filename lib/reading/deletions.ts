import { ifAvailable } from '#lib/concurrency/if-available.ts';
import { messageReference } from '#lib/domain/reference.ts';
import type { Messages } from '#lib/mysql/messages.ts';
import type { DeletedMessages } from '#lib/redis/window/deleted-messages.ts';

/**
 * Returns a function that leaves out the hits of a search that were deleted since the index was written. Redis knows the
 * latest deletions. Without Redis, while the gate is closed, and once Redis has lost data, MySQL is asked as well, and hits
 * without a row are left out. @throws unavailable if neither can tell
 */
export const createWithoutDeleted =
  ({
    deletedMessages,
    messages,
  }: {
    deletedMessages: Pick<DeletedMessages, 'among'>;
    messages: Pick<Messages, 'states'>;
  }) =>
  async <Hit extends { chatNumber: number; messageNumber: number }>(
    token: string,
    hits: readonly Hit[],
  ): Promise<Hit[]> => {
    if (hits.length === 0) return [];
    const refs = hits.map(({ chatNumber, messageNumber }) => ({ token, chatNumber, messageNumber }));
    const recent = await ifAvailable(deletedMessages.among(refs));
    const rows = recent?.knowsAll ? undefined : await messages.states(refs);
    return hits.filter(({ chatNumber, messageNumber }) => {
      const reference = messageReference({ token, chatNumber, messageNumber });
      if (recent?.deleted.has(reference)) return false;
      return rows === undefined || rows.get(reference)?.isDeleted === false;
    });
  };

export type WithoutDeleted = ReturnType<typeof createWithoutDeleted>;
