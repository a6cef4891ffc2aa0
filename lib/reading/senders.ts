import { createBoundedMap } from '#lib/concurrency/bounded-map.ts';
import { ifAvailable } from '#lib/concurrency/if-available.ts';
import { within } from '#lib/concurrency/within.ts';
import { unavailable } from '#lib/domain/errors.ts';
import type { Message } from '#lib/domain/message.ts';
import type { Users } from '#lib/mysql/users.ts';

/** Handles that a process remembers. A user's handle never changes. */
const REMEMBERED = 10_000;
/** The longest wait for a look-up. Without an answer messages are shown without their sender. */
const LOOK_UP_MS = 500;

/**
 * Adds the handle to messages that Redis keeps without one: their command came with an access token from before handles
 * existed. All of a page share one query.
 */
export const createWithSenders = ({ users }: { users: Pick<Users, 'findHandles'> }) => {
  const known = createBoundedMap<number, string>(REMEMBERED);

  const lookUp = async (ids: readonly number[]): Promise<void> => {
    const late = () => unavailable('The database does not answer.');
    const found = await ifAvailable(within(LOOK_UP_MS, users.findHandles(ids), late));
    for (const [id, handle] of found ?? []) known.set(id, handle);
  };

  return async (messages: Message[]): Promise<Message[]> => {
    const without = messages.filter(({ sender }) => sender === undefined);
    if (without.length === 0) return messages;
    const ids = new Set(without.map(({ senderId }) => senderId));
    const unknown = [...ids].filter((id) => known.get(id) === undefined);
    if (unknown.length > 0) await lookUp(unknown);
    return messages.map((message) =>
      message.sender === undefined ? { ...message, sender: known.get(message.senderId) } : message,
    );
  };
};

export type WithSenders = ReturnType<typeof createWithSenders>;
