import type { Context } from 'aws-lambda';
import type * as z from 'zod';
import type { CommandContract } from '#lib/contracts/commands/command.ts';
import { acceptedCommand } from '#lib/contracts/commands/fields.ts';
import { isKnownError } from '#lib/domain/errors.ts';
import { type Providers, provide } from '#lib/runtime/lazy.ts';
import { logContext } from '#lib/runtime/log-context.ts';
import { logClientError } from '#lib/runtime/logger.ts';
import { letterNotes, recoveryState } from '#lib/runtime/services/mysql.ts';
import { publisher } from '#lib/runtime/services/rabbitmq.ts';
import { counters, gate, outbox } from '#lib/runtime/services/redis.ts';
import { prepareForJob } from '#lib/runtime/services/servers.ts';
import { maxDeferrals } from '#lib/runtime/services/settings.ts';
import type { Consumer } from './consumer.ts';
import { digestOf, type Malformed, messagesOf } from './read-batch.ts';
import { createRecord } from './record.ts';
import type { ConsumerServices } from './services.ts';
import { createDeadLetter } from './steps/dead-letter.ts';
import { createDefer, createKeepWaiting, givenUp, splitDeferred } from './steps/defer.ts';
import { createPassBarriers } from './steps/pass-barriers.ts';
import { createRead } from './steps/read.ts';
import { createSettle } from './steps/settle.ts';
import { createStore } from './steps/store.ts';
import { partsOf, storeInParts } from './store-in-parts.ts';

export type { Consumer } from './consumer.ts';

/**
 * Returns a factory of handlers for the Amazon MQ event source. A return acknowledges the batch and a throw
 * returns all of it to the queue, so only an outage of a server throws. The steps of a batch, one file each in `steps`:
 *
 * 1. Read: commands, barriers, malformed messages. Stragglers are dropped.
 * 2. Store the commands. A command that MySQL or the index refuses on its own is dead. A late command for something that was
 *    deleted is dropped.
 * 3. Settle the stored and dropped commands.
 * 4. Publish dead letters, each once, and settle the dead commands.
 * 5. Publish deferred commands. This comes late: if a later step failed, each redelivery would double them.
 * 6. Pass barriers: everything before them is stored, dead, or deferred with its number reserved.
 *
 * Steps 1 to 3 may run part by part, in the order of the queue. The other steps follow once for the whole batch.
 */
export const createConsumerHandlers =
  (services: ConsumerServices) =>
  <Schema extends z.ZodType<object>, Uses extends object, Row>(
    contract: CommandContract<Schema>,
    consumer: Consumer<z.output<Schema>, Uses, Row>,
    providers: Providers<Uses>,
  ) => {
    const { queue, outbox: hasOutbox } = contract;
    const { gate, outbox, maxDeferrals } = services;
    const logOutage = logClientError(`A server of ${queue}`);
    const record = createRecord(contract, services);
    const beginRead = createRead(contract, services);
    const store = createStore<z.output<Schema>, Uses, Row>(consumer, record);
    const settle = createSettle<z.output<Schema>, Uses, Row>(queue, consumer);
    const deadLetter = createDeadLetter(queue, services);
    const defer = createDefer(queue, services);
    const keepWaiting = createKeepWaiting<z.output<Schema>, Uses, Row>(consumer);
    const passBarriers = createPassBarriers(queue, services);

    const consume = async (event: unknown, uses: Uses): Promise<void> => {
      const read = beginRead();
      const parts = await storeInParts(
        partsOf(messagesOf(event), consumer.partSize),
        async (messages) => {
          const { received, ...others } = await read(messages);
          const hasForeign = received.some(({ command }) => command.digest === undefined);
          return { ...others, ...(await store(uses, received)), hasForeign };
        },
        async ({ stored, dropped, hasForeign }) => {
          // A dropped command is settled as a dead one is, and gets no letter.
          await settle(uses, { stored, dead: dropped });
          // The clock shows a loss of the effects of other programs' commands.
          if (hasForeign && hasOutbox) await gate().raiseClock(Date.now() * 1000);
        },
      );
      const deferred = splitDeferred(
        parts.flatMap((part) => part.deferred),
        maxDeferrals(),
      );
      const { waiting, never } = await keepWaiting(uses, deferred.never);
      const dead = [...parts.flatMap((part) => part.dead), ...never.map(givenUp)];
      const malformed = parts.flatMap((part) => part.malformed);
      await record(malformed.map(({ content }) => content));
      await deadLetter([...dead, ...malformed]);
      await settle(uses, { dead: dead.map(({ command }) => command) });
      await forget(malformed);
      await defer([...deferred.later, ...waiting]);
      await passBarriers(parts.flatMap(({ barriers }) => barriers));
    };

    /** Removes malformed messages from the outbox. No consumer function can settle them. */
    const forget = async (malformed: readonly Malformed[]): Promise<void> => {
      const found = malformed
        .map(({ delivery, content }) => ({
          commandId: Number(delivery.messageId),
          digest: digestOf(delivery),
          token: acceptedCommand.safeParse(content).data?.token,
        }))
        .filter(({ commandId }) => Number.isSafeInteger(commandId) && commandId > 0);
      if (hasOutbox) await outbox().forget(queue, found);
    };

    const handle = async (event: unknown): Promise<void> => {
      try {
        await prepareForJob();
        await consume(event, provide<Uses>(providers));
      } catch (error) {
        // Lambda logs a thrown error without its cause, which has the server's message.
        if (isKnownError(error, 'unavailable')) logOutage(error);
        throw error;
      }
    };
    return (event: unknown, context: Context): Promise<void> =>
      logContext.run({ function: context.functionName, requestId: context.awsRequestId, queue }, () =>
        handle(event),
      );
  };

/** Creates the handler of a consumer function, with the services of this execution environment. */
export const consumerHandler = createConsumerHandlers({
  counters,
  gate,
  letterNotes,
  maxDeferrals,
  outbox,
  publisher,
  recoveryState,
});
