import type { Job } from '#lib/domain/job.ts';
import type { Applications } from '#lib/mysql/applications.ts';
import type { Chats } from '#lib/mysql/chats.ts';
import type { RecoveryState } from '#lib/mysql/progress.ts';
import type { Gate, VerificationProgress } from '#lib/redis/gate/gate.ts';
import type { OutdatedWindows } from '#lib/redis/window/outdated-windows.ts';

export type VerificationUses = {
  gate: Pick<Gate, 'status' | 'raise' | 'saveProgress'>;
  recoveryState: Pick<RecoveryState, 'reservations'>;
  applications: Pick<Applications, 'highestChatNumbers'>;
  chats: Pick<Chats, 'highestMessageNumbers'>;
  outdatedWindows: OutdatedWindows;
};

type Counts = Parameters<Gate['raise']>[0];
/** A row of MySQL and the counter values that it implies. */
type CountedRow = { id: number; counts: Counts };

const BATCH = 1_000;

/** The counter values that a pending creation implies: its own number, and a counter for the created item. */
const reservedCounts = (token: string, chatNumber?: number, messageNumber?: number): Counts => {
  if (chatNumber === undefined) return [{ token, count: 0 }];
  if (messageNumber !== undefined) return [{ token, chatNumber, count: messageNumber }];
  return [
    { token, count: chatNumber },
    { token, chatNumber, count: 0 },
  ];
};

/** The next rows of each table. */
const createReaders = ({
  recoveryState,
  applications,
  chats,
}: VerificationUses): Record<keyof VerificationProgress, (afterId: number) => Promise<CountedRow[]>> => ({
  reservations: async (afterId) =>
    (await recoveryState.reservations(afterId, BATCH)).map(({ id, token, chatNumber, messageNumber }) => ({
      id,
      counts: reservedCounts(token, chatNumber, messageNumber),
    })),
  applications: async (afterId) =>
    (await applications.highestChatNumbers(afterId, BATCH)).map(({ id, token, highest }) => ({
      id,
      counts: [{ token, count: highest }],
    })),
  chats: async (afterId) =>
    (await chats.highestMessageNumbers(afterId, BATCH)).map(({ id, token, chatNumber, highest }) => ({
      id,
      counts: [{ token, chatNumber, count: highest }],
    })),
});

/** Reservations come before rows, because a number moves from its reservation to its row when it is stored. */
const TABLES = ['reservations', 'applications', 'chats'] as const;

/**
 * Returns a function that verifies all counters against MySQL and returns how many were raised. It also removes the windows
 * from before the loss. It continues where an earlier run stopped.
 */
export const createVerification = (uses: VerificationUses) => {
  const { gate, outdatedWindows } = uses;
  const readers = createReaders(uses);

  return async ({ remainingMs, log }: Job): Promise<number> => {
    const { isOpen, verifying } = await gate.status();
    if (!isOpen || verifying === undefined) return 0;
    const { lost } = verifying;
    let progress = verifying.progress;
    let raised = 0;
    for (const table of TABLES) {
      for (;;) {
        const rows = await readers[table](progress[table]);
        const last = rows.at(-1);
        if (last === undefined) break;
        progress = { ...progress, [table]: last.id };
        const counts = rows.flatMap(({ counts }) => counts);
        await outdatedWindows.drop(
          counts.flatMap(({ token, chatNumber }) =>
            chatNumber === undefined ? [] : [{ token, chatNumber }],
          ),
        );
        const count = await gate.raise(counts, lost);
        // The epoch has changed.
        if (count === undefined || !(await gate.saveProgress(progress, lost))) return raised;
        raised += count;
        if (remainingMs() <= 0) return raised;
      }
    }
    if (await gate.saveProgress(undefined, lost))
      log('All counters are compared with MySQL', { code: 'counters-verified', raised });
    return raised;
  };
};
