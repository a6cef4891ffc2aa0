import type * as z from 'zod';
import type { CommandContract } from '#lib/contracts/commands/command.ts';
import { type Checked, createEpochCheck } from '../check-epochs.ts';
import { createNumberCheck } from '../check-numbers.ts';
import type { RabbitMqMessage } from '../rabbitmq-event.ts';
import { malformedBy, readMessages } from '../read-batch.ts';
import type { ConsumerServices } from '../services.ts';

const TOO_HIGH = 'its number is more than a million above the counter';

/**
 * Returns a function that begins a batch and returns a function that reads one part of it after another: its commands,
 * barriers and malformed messages. It drops stragglers.
 */
export const createRead = <Schema extends z.ZodType<object>>(
  contract: CommandContract<Schema>,
  {
    recoveryState,
    counters,
    maxDeferrals,
  }: Pick<ConsumerServices, 'recoveryState' | 'counters' | 'maxDeferrals'>,
) => {
  const checkNumbers = createNumberCheck({ counters, recoveryState });
  return () => {
    const checkEpochs = createEpochCheck(contract.queue, () => recoveryState().epochs(contract.queue));
    return async (messages: readonly RabbitMqMessage[]): Promise<Checked<z.output<Schema>>> => {
      const read = readMessages(messages, contract.schema, {
        maxAttempts: maxDeferrals(),
        takesBarriers: contract.outbox,
      });
      const { received, barriers, malformed } = await checkEpochs(read);
      if (contract.creates === undefined) return { received, barriers, malformed };
      const { within, beyond } = await checkNumbers(received, ({ command }) => command);
      const refused = beyond.map(({ delivery }) => malformedBy(delivery, TOO_HIGH));
      return { received: within, barriers, malformed: [...malformed, ...refused] };
    };
  };
};
