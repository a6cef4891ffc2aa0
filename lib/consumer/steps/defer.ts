import { retryQueue } from '#lib/contracts/queues.ts';
import type { Consumer } from '../consumer.ts';
import type { ConsumerServices } from '../services.ts';
import { publicationOf } from '../unstored.ts';
import type { Refused } from './store.ts';

/** Of several copies of a command one. Without a limit, copies by the relay would become ever more. */
const once = <Command>(deferred: readonly Refused<Command>[]): Refused<Command>[] => [
  ...new Map(deferred.map((one) => [one.delivery.content.toString('base64'), one])).values(),
];

/**
 * Returns a function that splits deferred commands without attempts left into those that wait on and dead ones.
 * @throws unavailable
 */
export const createKeepWaiting =
  <Command, Uses, Row>({ waitsOn }: Pick<Consumer<Command, Uses, Row>, 'waitsOn'>) =>
  async (uses: Uses, deferred: readonly Refused<Command>[]) => {
    if (waitsOn === undefined || deferred.length === 0) return { waiting: [], never: [...deferred] };
    const waiting = await waitsOn(
      uses,
      deferred.map(({ command }) => command),
    );
    return {
      waiting: once(deferred.filter(({ command }) => waiting.has(command))),
      never: deferred.filter(({ command }) => !waiting.has(command)),
    };
  };

/** Splits deferred commands into those with attempts left and others. */
export const splitDeferred = <Command>(deferred: readonly Refused<Command>[], maxDeferrals: number) => {
  const { later = [], never = [] } = Object.groupBy(deferred, ({ delivery }) =>
    delivery.attempts < maxDeferrals ? 'later' : 'never',
  );
  return { later, never };
};

/** The reason for which a command that was deferred too often is dead. */
export const givenUp = <Command>(one: Refused<Command>): Refused<Command> => ({
  ...one,
  reason: `still not possible after ${one.delivery.attempts} attempts: ${one.reason}`,
});

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
