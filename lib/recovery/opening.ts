import type { RecoveryState } from '#lib/mysql/progress.ts';
import type { OpeningAttempt } from '#lib/redis/gate/opening-attempt.ts';

/** Only a Redis that restarts during the opening needs another try. */
const TRIES = 3;

/**
 * Opens the gate in an epoch, after MySQL has the interval of change numbers that this opening leaves out. Positions in it
 * may have seen changes that Redis has lost. `start`, the new clock, is a second after every clock and number that is
 * known.
 * @param witness the highest command id that any consumer has handled
 */
export const openGate = async (
  attempt: Pick<OpeningAttempt, 'readClocks' | 'open'>,
  epoch: number,
  witness: number,
  { recoveryState }: { recoveryState: Pick<RecoveryState, 'recordOpening'> },
): Promise<'open' | 'lost' | 'superseded'> => {
  for (let left = TRIES; left > 0; left -= 1) {
    const { clock, late, now } = await attempt.readClocks();
    const above = Math.max(clock, late, now, witness, Date.now() * 1000);
    const start = await recoveryState.recordOpening(epoch, { found: clock, above });
    if (start === undefined) return 'superseded';
    const result = await attempt.open(epoch, { witness, found: clock, start });
    if (result !== 'changed') return result;
  }
  return 'superseded';
};
