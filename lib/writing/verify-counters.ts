import type { CounterReference } from '#lib/domain/reference.ts';
import type { RecoveryState } from '#lib/mysql/progress.ts';
import type { Gate } from '#lib/redis/gate/gate.ts';

/** Returns a function that verifies counters against MySQL, before their first use after a loss of Redis. */
export const createVerifyCounters =
  ({
    gate,
    numbers,
  }: {
    gate: Pick<Gate, 'verify'>;
    numbers: Pick<RecoveryState, 'highestChatNumber' | 'highestMessageNumber'>;
  }) =>
  /**
   * @param counters of a chat and its application, or of an application
   * @param lost the epoch for which counters are being verified
   * @returns false if an item does not exist, or is deleted
   * @throws unavailable
   */
  async (counters: readonly CounterReference[], lost: string): Promise<boolean> => {
    const counts = await Promise.all(
      counters.map(async (counter) => ({
        ...counter,
        count:
          counter.chatNumber === undefined
            ? await numbers.highestChatNumber(counter.token)
            : await numbers.highestMessageNumber(counter.token, counter.chatNumber),
      })),
    );
    return (await gate.verify(counts, lost)) !== 'missing';
  };

export type VerifyCounters = ReturnType<typeof createVerifyCounters>;
