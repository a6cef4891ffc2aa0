import { mergeOutcomes, type Outcome } from '#lib/domain/batch.ts';
import { describeError } from '#lib/domain/error-facts.ts';
import type { Consumer } from '../consumer.ts';
import type { Delivery } from '../delivery.ts';
import { isolatePoison } from '../isolate-poison.ts';
import type { Digested, Received } from '../read-batch.ts';

/** A command that is not stored, with its message and the reason. */
export type Refused<Command> = Received<Command> & { reason: string };
export type Stored<Command, Row> = {
  stored: Row[];
  deferred: Refused<Command>[];
  dead: Refused<Command>[];
  dropped: Command[];
};

/**
 * Returns a function that stores the commands of one part of a batch. A command that MySQL or the index refuses on its own is
 * dead.
 * @param record notes a command that `store` could not record
 * @throws unavailable
 */
export const createStore =
  <Command extends object, Uses, Row>(
    { store }: Pick<Consumer<Command, Uses, Row>, 'store'>,
    record: (contents: readonly unknown[]) => Promise<void>,
  ) =>
  async (uses: Uses, received: readonly Received<Command>[]): Promise<Stored<Command, Row>> => {
    const deliveries = new Map<Command, Delivery>(
      received.map(({ command, delivery }) => [command, delivery]),
    );
    const outcomes = await isolatePoison<Digested<Command>, Outcome<Digested<Command>, Row>>(
      received.map(({ command }) => command),
      (commands) => store(uses, commands),
      async (command, error) => {
        await record([command]);
        return { stored: [], deferred: [], dead: [{ command, reason: describeError(error) }] };
      },
    );
    const { stored, deferred, dead, dropped = [] } = mergeOutcomes(outcomes);
    const withDelivery = ({ command, reason }: (typeof dead)[number]): Refused<Command>[] => {
      const delivery = deliveries.get(command);
      return delivery === undefined ? [] : [{ command, delivery, reason }];
    };
    return { stored, deferred: deferred.flatMap(withDelivery), dead: dead.flatMap(withDelivery), dropped };
  };
