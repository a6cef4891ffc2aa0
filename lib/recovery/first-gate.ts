import type { RecoveryState } from '#lib/mysql/progress.ts';
import type { Gate } from '#lib/redis/gate/gate.ts';
import { openGate } from './opening.ts';

/** Opens the gate on new tables, for which no number can have been given. */
export const createFirstGate = ({
  gate,
  recoveryState,
}: {
  gate: Pick<Gate, 'attempt'>;
  recoveryState: Pick<RecoveryState, 'beginEpoch' | 'recordOpening'>;
}) => ({
  open: async (): Promise<void> => {
    const attempt = await gate.attempt();
    if ((await attempt.begin()) !== 'begun') return;
    await openGate(attempt, await recoveryState.beginEpoch(attempt.server), 0, { recoveryState });
  },
});

export type FirstGate = ReturnType<typeof createFirstGate>;
