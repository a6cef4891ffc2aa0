import type { Changes } from '#lib/mysql/changes.ts';
import type { IssuedChange, PendingChanges } from '#lib/redis/changes/pending-changes.ts';
import type { Settles } from '#lib/redis/commands/all.ts';

/** Settles the commands of each queue, and stores the numbers that this issues. @throws unavailable; then settle them again */
export type Settling = {
  [Queue in keyof Settles]: (settlement: Parameters<Settles[Queue]>[0]) => Promise<void>;
};

/** Rounds of one settlement. Only a rollback of Redis needs another one. Later deliveries find the numbers that are left. */
const ROUNDS = 5;

/**
 * Settles commands as Redis does, and then stores the fresh numbers of changes. The items are committed before, so a reader
 * never meets a number without its content.
 */
export const createSettling = ({
  settles,
  changes,
  pendingChanges,
}: {
  settles: Settles;
  changes: Pick<Changes, 'insert'>;
  pendingChanges: Pick<PendingChanges, 'remove'>;
}): Settling => {
  const numbering =
    <Settlement>(queue: string, settle: (settlement: Settlement) => Promise<readonly IssuedChange[]>) =>
    async (settlement: Settlement): Promise<void> => {
      let left = await settle(settlement);
      for (let round = 0; round < ROUNDS && left.length > 0; round += 1) {
        await changes.insert(queue, left);
        left = await pendingChanges.remove(left);
      }
    };
  return {
    'create-application': numbering('create-application', settles['create-application']),
    'update-application': numbering('update-application', settles['update-application']),
    'create-chat': numbering('create-chat', settles['create-chat']),
    'update-chat': numbering('update-chat', settles['update-chat']),
    'create-message': numbering('create-message', settles['create-message']),
    'update-message': numbering('update-message', settles['update-message']),
    'index-message': settles['index-message'],
  };
};
