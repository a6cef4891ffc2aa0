import { gather } from '#lib/concurrency/gather.ts';
import { ifAvailable } from '#lib/concurrency/if-available.ts';
import { within } from '#lib/concurrency/within.ts';
import { tokenEnded, unavailable } from '#lib/domain/errors.ts';
import type { Users } from '#lib/mysql/users.ts';
import type { Generations } from '#lib/redis/revocation/generations.ts';

/** The longest wait for MySQL, so that a write still gets its 503 in time. */
const WAIT_MS = 1_000;
const tooSlow = () => unavailable('The database does not answer.');
/** Users that one query looks up. */
const TOGETHER = 100;

/**
 * Returns a function that checks whether an access token has ended, though it has not expired. Redis knows, as long as the
 * gate is open. Otherwise MySQL is asked, which heard of the end first.
 */
export const createTokenCheck = ({
  generations,
  users,
}: {
  generations: Pick<Generations, 'read'>;
  users: Pick<Users, 'findGenerations'>;
}) => {
  const findStored = gather(
    async (ids: readonly number[]) => {
      const found = await within(WAIT_MS, users.findGenerations(ids), tooSlow);
      return ids.map((id) => ({ present: found.get(id) }));
    },
    { size: TOGETHER },
  );

  /** @throws unauthenticated for a token that has ended; unavailable if neither Redis nor MySQL can tell */
  return async ({ id, generation }: { id: number; generation: number }): Promise<void> => {
    const known = await ifAvailable(generations.read(id));
    if (known?.present !== undefined && generation < known.present) throw tokenEnded();
    if (known?.isCertain) return;
    const { present } = await findStored(id);
    if (present === undefined || generation < present) throw tokenEnded();
  };
};

export type TokenCheck = ReturnType<typeof createTokenCheck>;
