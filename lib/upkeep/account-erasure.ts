import { setTimeout as delay } from 'node:timers/promises';
import type { Messages } from '#lib/mysql/messages.ts';
import type { Users } from '#lib/mysql/users.ts';
import type { Indexing } from '#lib/writing/hand-on.ts';
import type { Settling } from '#lib/writing/settling.ts';
import type { ErasureStep } from './erasure.ts';

type Uses = {
  users: Pick<Users, 'findErasing' | 'finishErasure'>;
  messages: Pick<Messages, 'eraseNext' | 'noteErased'>;
  settles: Pick<Settling, 'update-message'>;
  indexing: Indexing;
  now: () => number;
};

/** Rows of one slice, and rows a second: other writes need the queue of the index, too. */
const SLICE = 1_000;
const PER_SECOND = 500;
/** Accounts that one slice looks at. */
const ACCOUNTS = 100;

/**
 * Blanks the messages of erased accounts: in MySQL, then in the windows of Redis and in the index. A row counts as blank
 * only when all of them have heard of it, so an interrupted slice is repeated. The name and the handle go last.
 */
export const eraseAccounts = ({ users, messages, settles, indexing, now }: Uses): ErasureStep => {
  /** The last blank row of each account, as far as this process knows. */
  const places = new Map<number, number>();
  let nextAtMs = 0;

  const eraseMessages = async (userId: number): Promise<number> => {
    const rows = await messages.eraseNext(userId, places.get(userId) ?? 0, SLICE);
    const last = rows.at(-1);
    if (last === undefined) return 0;
    // As a deletion of each, whose command is in no outbox.
    await settles['update-message']({
      stored: rows.map((row) => ({ ...row, commandId: row.version, deleted: true as const })),
      dead: [],
    });
    await indexing.handOn(rows);
    await messages.noteErased(rows.map(({ id }) => id));
    places.set(userId, last.id);
    nextAtMs = now() + (rows.length / PER_SECOND) * 1_000;
    return rows.length;
  };

  return {
    name: 'accounts',
    slice: async () => {
      const erasing = await users.findErasing(ACCOUNTS);
      for (const userId of places.keys()) if (!erasing.includes(userId)) places.delete(userId);
      for (const userId of erasing) {
        await delay(Math.max(0, nextAtMs - now()));
        const erased = (await eraseMessages(userId)) || (await users.finishErasure(userId));
        if (erased > 0) return erased;
      }
      return 0;
    },
  };
};
