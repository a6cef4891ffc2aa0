import type { Barrier } from '../read-batch.ts';
import type { ConsumerServices } from '../services.ts';

/** Returns a function that notes in MySQL that barriers passed the queue. @throws unavailable */
export const createPassBarriers =
  (queue: string, { recoveryState }: Pick<ConsumerServices, 'recoveryState'>) =>
  async (barriers: readonly Barrier[]): Promise<void> => {
    for (const { epoch } of barriers) await recoveryState().passBarrier(queue, epoch);
  };
