import { unavailable } from '#lib/domain/errors.ts';
import type { Generation, Generations } from '#lib/redis/revocation/generations.ts';

/** A recovery opens the gate within this time. */
const RETRY_AFTER_SECONDS = 1;

/**
 * Returns a function that ends the access tokens of earlier generations, once MySQL has the present one. After an error the
 * tokens may have ended: MySQL knows it, and the next opening of the gate, or the next minute, tells Redis.
 */
export const createRevoke =
  ({
    generations,
    closeConnections,
    askForRecovery,
  }: {
    generations: Pick<Generations, 'raise'>;
    /** Has the connections of ended tokens closed, which get no event any more. Never rejects. */
    closeConnections: (ids: readonly string[]) => Promise<void>;
    /** Starts a recovery; returns at once. */
    askForRecovery: () => void;
  }) =>
  /** @throws unavailable if a token of an earlier generation may still be accepted somewhere */
  async (user: Generation): Promise<void> => {
    const { gate, ended } = await generations.raise([user]);
    await closeConnections(ended);
    if (gate === 'open') return;
    askForRecovery();
    throw unavailable(
      'The numbers are being recovered, so the end of the access tokens may not be known everywhere yet. Try again.',
      undefined,
      RETRY_AFTER_SECONDS,
    );
  };

export type Revoke = ReturnType<typeof createRevoke>;
