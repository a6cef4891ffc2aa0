import type { CommandContract } from '#lib/contracts/commands/command.ts';
import { acceptedCommand } from '#lib/contracts/commands/fields.ts';
import { createNumberCheck } from './check-numbers.ts';
import type { ConsumerServices } from './services.ts';

/**
 * Returns a function that notes commands of this API that `store` has not recorded: it moves the witness, and reserves the
 * numbers of creations. It takes any JSON and ignores all that cannot be such a command.
 */
export const createRecord = (
  { queue, creates }: Pick<CommandContract, 'queue' | 'creates'>,
  { recoveryState, counters }: Pick<ConsumerServices, 'recoveryState' | 'counters'>,
) => {
  const checkNumbers = createNumberCheck({ counters, recoveryState });
  return async (contents: readonly unknown[]): Promise<void> => {
    const claimed = contents.flatMap((content) => acceptedCommand.safeParse(content).data ?? []);
    if (claimed.length === 0) return;
    const { newest } = await recoveryState().epochs(queue);
    const known = claimed.filter(({ epoch }) => epoch <= newest);
    const { within } = await checkNumbers(known, (command) => command);
    if (within.length === 0) return;
    await recoveryState().record({
      queue,
      highestId: Math.max(...within.map(({ commandId }) => commandId)),
      reserved: creates === undefined ? [] : within,
      releasedIds: [],
    });
  };
};
