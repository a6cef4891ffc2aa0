import { logger } from '#lib/runtime/logger.ts';
import type { Consumer } from '../consumer.ts';
import { isolatePoison } from '../isolate-poison.ts';

/**
 * Returns a function that settles stored and dead commands. A command that cannot be settled is stored or a dead letter
 * nevertheless. It stays in the outbox, and an alarm watches the outbox's age.
 * @throws unavailable
 */
export const createSettle =
  <Command, Uses, Row>(queue: string, { settle }: Pick<Consumer<Command, Uses, Row>, 'settle'>) =>
  async (
    uses: Uses,
    { stored = [], dead = [] }: { stored?: readonly Row[]; dead?: readonly Command[] },
  ): Promise<void> => {
    const all = [
      ...stored.map((one) => ({ stored: [one], dead: [] })),
      ...dead.map((one) => ({ stored: [], dead: [one] })),
    ];
    await isolatePoison<{ stored: Row[]; dead: Command[] }, void>(
      all,
      (part) =>
        settle(uses, {
          stored: part.flatMap((one) => one.stored),
          dead: part.flatMap((one) => one.dead),
        }),
      async (_one, error) => {
        logger.error('A command could not be settled', { code: 'settle-failed', queue, error });
      },
    );
  };
