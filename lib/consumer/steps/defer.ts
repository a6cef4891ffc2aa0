import { retryQueue } from '#lib/contracts/queues.ts';
import type { ConsumerServices } from '../services.ts';
import { publicationOf } from '../unstored.ts';
import type { Refused } from './store.ts';

/** Splits deferred commands into those with attempts left and dead ones. */
export const splitDeferred = <Command>(deferred: readonly Refused<Command>[], maxDeferrals: number) => {
  const { later = [], never = [] } = Object.groupBy(deferred, ({ delivery }) =>
    delivery.attempts < maxDeferrals ? 'later' : 'never',
  );
  return {
    later,
    never: never.map((one) => ({
      ...one,
      reason: `still not possible after ${one.delivery.attempts} attempts: ${one.reason}`,
    })),
  };
};

/**
 * Returns a function that publishes commands to `<queue>.retry`, which leads back to the queue. It returns once the broker has
 * confirmed. @throws unavailable
 */
export const createDefer =
  (queue: string, { publisher }: Pick<ConsumerServices, 'publisher'>) =>
  async <Command>(deferred: readonly Refused<Command>[]): Promise<void> => {
    if (deferred.length === 0) return;
    await publisher().publish(deferred.map((one) => publicationOf(retryQueue(queue), one)));
  };
