import type { CounterReference } from '#lib/domain/reference.ts';
import type { RecoveryState } from '#lib/mysql/progress.ts';
import type { Gate } from '#lib/redis/gate/gate.ts';

/** Returns a function that verifies a counter against MySQL, before its first use after a loss of Redis. */
export const createVerifyCounter =
  ({
    gate,
    numbers,
  }: {
    gate: Pick<Gate, 'verify'>;
    numbers: Pick<RecoveryState, 'highestChatNumber' | 'highestMessageNumber'>;
  }) =>
  /**
   * @param lost the epoch for which counters are being verified
   * @returns false if the counter's item does not exist
   * @throws unavailable
   */
  async (counter: CounterReference, lost: string): Promise<boolean> => {
    const count =
      counter.chatNumber === undefined
        ? await numbers.highestChatNumber(counter.token)
        : await numbers.highestMessageNumber(counter.token, counter.chatNumber);
    return (await gate.verify(counter, count, lost)) !== 'missing';
  };

export type VerifyCounter = ReturnType<typeof createVerifyCounter>;
