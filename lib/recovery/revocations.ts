import type { RaisedGeneration } from '#lib/mysql/token-generations.ts';
import type { Users } from '#lib/mysql/users.ts';

export type RevocationUses = {
  users: Pick<Users, 'findRaised'>;
  /** The time for which a token may outlive the rise of its user's generation. */
  revocationSeconds: number;
};

const BATCH = 1_000;

/**
 * Tells Redis again of all generations that rose within the lifetime of a token. Redis may have lost one, or a caller may
 * have died between its two writes.
 */
export const revokeAgain = async (
  raise: (users: readonly RaisedGeneration[]) => Promise<unknown>,
  { users, revocationSeconds }: RevocationUses,
): Promise<void> => {
  let last: RaisedGeneration | undefined;
  do {
    const raised = await users.findRaised(revocationSeconds, BATCH, last);
    if (raised.length > 0) await raise(raised);
    last = raised.length < BATCH ? undefined : raised.at(-1);
  } while (last !== undefined);
};
