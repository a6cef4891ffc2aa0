import middy from '@middy/core';
import type { Context } from 'aws-lambda';
import * as z from 'zod';
import type { CommandContract } from '#lib/contracts/commands.ts';
import type { Placed } from '#lib/domain/batch.ts';
import { isKnownError } from '#lib/domain/errors.ts';
import type { Publication } from '#lib/rabbitmq/publisher.ts';
import { deadQueue, retryQueue } from '#lib/rabbitmq/topology.ts';
import { type Providers, provide } from '#lib/runtime/lazy.ts';
import { logContext } from '#lib/runtime/log-context.ts';
import { logClientError, logger } from '#lib/runtime/logger.ts';
import {
  bePatient,
  counters,
  maxDeferrals,
  outbox,
  prepareServices,
  publisher,
} from '#lib/runtime/services.ts';
import { type RabbitMqMessage, rabbitmqEvent } from './rabbitmq-event.ts';

/** The commands of a batch, in the order of the queue. */
export type Batch<Command> = {
  commands: readonly Command[];
  /**
   * Publishes what cannot be done yet to `<queue>.retry` and what never can to `<queue>.dead`, and waits until the broker
   * has confirmed: only then may a dead command be settled, which takes it out of the outbox.
   * @returns all that are dead now: what never can be done, and what was deferred too often
   */
  setAside: (placed: Pick<Placed<Command>, 'defer' | 'dead'>) => Promise<Command[]>;
};

type Delivery = { content: string; messageId: string | undefined; attempts: number };

const barrier = z.strictObject({ barrier: z.string().min(1).max(100) });

const toDelivery = ({ data, basicProperties }: RabbitMqMessage): Delivery => {
  const attempts = basicProperties.headers?.attempts;
  return {
    content: Buffer.from(data, 'base64').toString('utf8'),
    messageId: basicProperties.messageId ?? undefined,
    attempts: typeof attempts === 'number' ? attempts : 0,
  };
};

const parse = (content: string): unknown => {
  try {
    return JSON.parse(content);
  } catch {
    return undefined;
  }
};

const reasonOf = (error: unknown) => (error instanceof Error ? error.message : String(error)).slice(0, 500);

const publicationOf = (
  queue: string,
  { content, messageId }: Delivery,
  headers: Record<string, string | number>,
): Publication => ({ queue, content, headers, ...(messageId === undefined ? {} : { messageId }) });

/**
 * Makes a Lambda handler (Amazon MQ event source) of a function that persists a batch. Returning acknowledges the whole
 * batch, throwing puts all of it back: so nothing is thrown but what another time may mend. When a batch fails on
 * something other than a server that cannot do its work, its halves are tried, and theirs, and only those commands that
 * fail alone are set aside: poison is not in the way of its batch-mates. What is malformed is set aside when the rest is
 * done, so that it is set aside once, however often the batch has to come again.
 */
export const consumerHandler = <Schema extends z.ZodType, Uses extends object>(
  { queue, schema }: CommandContract<Schema>,
  persist: (batch: Batch<z.output<Schema>>, uses: Uses) => Promise<void>,
  providers: Providers<Uses>,
) => {
  type Command = z.output<Schema>;
  bePatient();
  const logOutage = logClientError(`What ${queue} needs`);

  /** @returns for each whether it is dead */
  const setAside = async (
    items: { delivery: Delivery; reason: string; later: boolean }[],
  ): Promise<boolean[]> => {
    if (items.length === 0) return [];
    const publications = items.map(({ delivery, reason, later }) => {
      const attempts = delivery.attempts + 1;
      return later && attempts <= maxDeferrals()
        ? publicationOf(retryQueue(queue), delivery, { attempts, reason })
        : publicationOf(deadQueue(queue), delivery, {
            attempts,
            reason: later ? `still not possible after ${delivery.attempts} attempts: ${reason}` : reason,
          });
    });
    if (publications.some((publication) => publication.queue === retryQueue(queue)))
      await counters().noteDeferral(queue);
    await publisher().publish(publications);
    const isDead = publications.map((publication) => publication.queue === deadQueue(queue));
    const dead = items.filter((_item, i) => isDead[i]);
    if (dead.length > 0) {
      logger.error('Commands were set aside', {
        queue,
        count: dead.length,
        commandIds: dead.slice(0, 20).map(({ delivery }) => delivery.messageId),
        reason: dead[0]?.reason,
      });
    }
    return isDead;
  };

  /** For what is no command, so that no function can settle it: the outbox may forget it. */
  const bury = async (faults: { delivery: Delivery; reason: string }[]): Promise<void> => {
    await setAside(faults.map((fault) => ({ ...fault, later: false })));
    const ids = faults
      .map(({ delivery }) => Number(delivery.messageId))
      .filter((id) => Number.isSafeInteger(id) && id > 0);
    await outbox().forget(queue, ids);
  };

  const run = async (deliveries: Map<Command, Delivery>, uses: Uses): Promise<void> => {
    const deliveryOf = (command: Command): Delivery => {
      const delivery = deliveries.get(command);
      if (delivery === undefined) throw new Error('A command that is not of this batch was set aside');
      return delivery;
    };
    await persist(
      {
        commands: [...deliveries.keys()],
        setAside: async ({ defer, dead }) => {
          const items = [
            ...defer.map((one) => ({ ...one, delivery: deliveryOf(one.command), later: true })),
            ...dead.map((one) => ({ ...one, delivery: deliveryOf(one.command), later: false })),
          ];
          const isDead = await setAside(items);
          return items.filter((_item, i) => isDead[i]).map(({ command }) => command);
        },
      },
      uses,
    );
  };

  /** The function itself settles it, as it does what it finds dead: nothing is kept of a command that will not be stored. */
  const buryAlone = (command: Command, delivery: Delivery, reason: string, uses: Uses): Promise<void> =>
    persist(
      {
        commands: [],
        setAside: async () => {
          await setAside([{ delivery, reason, later: false }]);
          return [command];
        },
      },
      uses,
    );

  /**
   * Halves a batch that fails until what fails is alone. That takes some twenty tries for a poisoned command in a batch
   * of a thousand; one try for each command would outlast the function, and the same batch would come again for ever.
   */
  const runApart = async (deliveries: readonly [Command, Delivery][], uses: Uses): Promise<void> => {
    try {
      await run(new Map(deliveries), uses);
    } catch (error) {
      if (isKnownError(error, 'unavailable')) throw error;
      const [first] = deliveries;
      if (first !== undefined && deliveries.length === 1) {
        await buryAlone(...first, reasonOf(error), uses);
        return;
      }
      logger.warn('A batch failed; its halves are tried', { error, size: deliveries.length });
      const middle = Math.ceil(deliveries.length / 2);
      await runApart(deliveries.slice(0, middle), uses);
      await runApart(deliveries.slice(middle), uses);
    }
  };

  const handle = middy<unknown, void, Error, Context>({ timeoutEarlyInMillis: 0 }).handler(async (event) => {
    await prepareServices();
    const uses = provide<Uses>(providers);
    const deliveries = new Map<Command, Delivery>();
    const malformed: { delivery: Delivery; reason: string }[] = [];
    const barriers: string[] = [];
    for (const message of Object.values(rabbitmqEvent.parse(event).rmqMessagesByQueue).flat()) {
      const delivery = toDelivery(message);
      const content = parse(delivery.content);
      const mark = barrier.safeParse(content);
      const command = schema.safeParse(content);
      if (mark.success) barriers.push(mark.data.barrier);
      else if (command.success) deliveries.set(command.data, delivery);
      else
        malformed.push({
          delivery,
          reason: `malformed: ${z.prettifyError(command.error)}`.slice(0, 500),
        });
    }
    try {
      if (deliveries.size > 0) await runApart([...deliveries], uses);
      await bury(malformed);
      for (const id of barriers) await counters().passBarrier(id);
    } catch (error) {
      // Lambda logs what is thrown, but not what it was made of: the server's own words.
      if (isKnownError(error, 'unavailable')) logOutage(error);
      throw error;
    }
  });
  return (event: unknown, context: Context): Promise<void> =>
    logContext.run({ function: context.functionName, requestId: context.awsRequestId, queue }, () =>
      handle(event, context),
    );
};
