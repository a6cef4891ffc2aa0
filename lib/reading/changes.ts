import { type Change, type FeedPage, mergeChanges, openingOf } from '#lib/domain/change.ts';
import { gone, notFound, notKnownYet, unavailable } from '#lib/domain/errors.ts';
import type { CounterReference } from '#lib/domain/reference.ts';
import type { Changes } from '#lib/mysql/changes.ts';
import type { PendingChanges } from '#lib/redis/changes/pending-changes.ts';

/** A part of the feed of an application, or of one chat. `since` is undefined to learn where to begin. */
type FeedQuery = CounterReference & { since: number | undefined; limit: number };

const cannotContinue = () => gone('This position cannot be continued. Begin again from a list.');
const closed = () =>
  unavailable('The numbers are being recovered. Changes are read again soon.', undefined, 1);
const incomplete = () => unavailable('The changes are not complete yet. Try again.');

/**
 * Reads the feed of changes without a hole. The order of the reads is the whole proof: Redis comes first, and then MySQL. A
 * change up to Redis' clock that was not pending at the first read was settled, so it was committed, so the second read
 * finds it. Both are needed, because nothing is better than less.
 */
export const createFeed = ({
  pendingChanges,
  changes,
}: {
  pendingChanges: Pick<PendingChanges, 'read'>;
  changes: Pick<Changes, 'place' | 'page'>;
}) => {
  /** @throws not-found, gone, unavailable (also while the gate is closed) */
  return async ({ since, limit, ...of }: FeedQuery): Promise<FeedPage<Change>> => {
    const what = of.chatNumber === undefined ? 'application' : 'chat';
    const count = limit + 1;
    const pending = await pendingChanges.read(of, { since, count });
    if (pending === 'closed') throw closed();
    if (pending === 'missing') throw notFound(what);
    const { clock, epoch } = pending;
    const opening = since === undefined ? 0 : openingOf(since, epoch);
    const place = await changes.place(of, { since, opening, upTo: clock });
    if (place.isDeleted) throw notFound(what);
    if (!place.isStored && !pending.isKnown) throw notKnownYet(what);
    if (since !== undefined && (since > clock || place.isGone)) throw cannotContinue();
    if (!place.isComplete) throw incomplete();
    if (since === undefined) return { changeNumber: clock, more: false, items: [] };
    const upTo = Math.min(clock, pending.lookedTo ?? clock);
    const rows =
      place.applicationId === undefined
        ? []
        : await changes.page(place.applicationId, of, { since, upTo, count });
    return mergeChanges([rows, pending.changes], { limit, upTo, isCut: upTo < clock, epoch });
  };
};

export type ReadFeed = ReturnType<typeof createFeed>;
