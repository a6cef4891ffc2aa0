import middy from '@middy/core';
import type { Context } from 'aws-lambda';
import type * as z from 'zod';
import type { CommandContract } from '#lib/contracts/commands/command.ts';
import { acceptedCommand } from '#lib/contracts/commands/fields.ts';
import { mergeOutcomes, type Outcome } from '#lib/domain/batch.ts';
import { describeError } from '#lib/domain/error-facts.ts';
import { isKnownError } from '#lib/domain/errors.ts';
import type { LetterNotes } from '#lib/mysql/letter-notes.ts';
import type { RecoveryState } from '#lib/mysql/progress.ts';
import type { Publisher } from '#lib/rabbitmq/publisher.ts';
import type { Outbox } from '#lib/redis/commands/outbox.ts';
import type { Counters } from '#lib/redis/gate/counters.ts';
import type { Gate } from '#lib/redis/gate/gate.ts';
import { type Providers, provide } from '#lib/runtime/lazy.ts';
import { logContext } from '#lib/runtime/log-context.ts';
import { logClientError, logger } from '#lib/runtime/logger.ts';
import { letterNotes, recoveryState } from '#lib/runtime/services/mysql.ts';
import { publisher } from '#lib/runtime/services/rabbitmq.ts';
import { counters, gate, outbox } from '#lib/runtime/services/redis.ts';
import { allowLongCalls, prepareServices } from '#lib/runtime/services/servers.ts';
import { maxDeferrals } from '#lib/runtime/services/settings.ts';
import { createEpochCheck } from './check-epochs.ts';
import { createNumberCheck } from './check-numbers.ts';
import { isolatePoison } from './isolate-poison.ts';
import { createUnstoredPublisher, type Unstored } from './publish-unstored.ts';
import {
  type Barrier,
  digestOf,
  type Malformed,
  malformedBy,
  messagesOf,
  type Received,
  readMessages,
} from './read-batch.ts';
import { storeInParts } from './store-in-parts.ts';

/**
 * The two steps of a consumer function. Each command passes them at least once, so both must be repeatable.
 */
export type Consumer<Command, Uses, Stored = Command> = {
  /**
   * Writes the commands to MySQL or the index, in the order of the queue, and reports each as stored,
   * deferred or dead. @throws unavailable when a server cannot do its work now. The wrapper attributes any
   * other error to a command.
   */
  store: <Of extends Command>(uses: Uses, commands: readonly Of[]) => Promise<Outcome<Of, Stored>>;
  /**
   * Updates Redis and the index's queue for the stored and dead commands. Runs for several parts of a batch at once, in any
   * order: counters are only raised, the index's outbox keeps the newest version, and all else concerns single commands.
   * @throws unavailable
   */
  settle: (uses: Uses, outcome: { stored: readonly Stored[]; dead: readonly Command[] }) => Promise<void>;
  /** A larger batch is stored in parts of this size, and a part is settled while the next is stored. */
  partSize?: number;
};

type Services = Providers<{
  recoveryState: Pick<
    RecoveryState,
    'epochs' | 'passBarrier' | 'record' | 'highestChatNumber' | 'highestMessageNumber'
  >;
  counters: Pick<Counters, 'read'>;
  gate: Pick<Gate, 'raiseClock'>;
  letterNotes: LetterNotes;
  publisher: Pick<Publisher, 'publish'>;
  outbox: Pick<Outbox, 'forget'>;
}> & { maxDeferrals: () => number };

const TOO_HIGH = 'its number is more than a million above the counter';

/**
 * Returns a factory of handlers for the Amazon MQ event source. A return acknowledges the batch and a throw
 * returns all of it to the queue, so only an outage of a server throws. The steps of a batch:
 *
 * 1. Read: commands, barriers, malformed messages. Stragglers are dropped.
 * 2. Store the commands. A command that MySQL or the index refuses on its own is dead.
 * 3. Settle the stored commands.
 * 4. Publish dead letters, each once, and settle the dead commands.
 * 5. Publish deferred commands. This comes last: if a later step failed, each redelivery would double them.
 * 6. Pass barriers: everything before them is stored, dead, or deferred with its number reserved.
 *
 * Steps 1 to 3 may run part by part, in the order of the queue. The other steps follow once for the whole batch.
 */
export const createConsumerHandlers = ({
  recoveryState,
  counters,
  gate,
  letterNotes,
  publisher,
  outbox,
  maxDeferrals,
}: Services) => {
  const forQueue = ({ queue, creates, outbox: hasOutbox }: Omit<CommandContract, 'function' | 'schema'>) => {
    const checkNumbers = createNumberCheck({ counters, recoveryState });
    const unstored = createUnstoredPublisher(queue, { publisher, letterNotes });

    /** Reserves the numbers of commands that `store` did not record. */
    const record = async (contents: readonly unknown[]): Promise<void> => {
      const claimed = contents.flatMap((content) => acceptedCommand.safeParse(content).data ?? []);
      if (claimed.length === 0) return;
      const { newest } = await recoveryState().epochs(queue);
      const { within: found } = await checkNumbers(claimed.filter(({ epoch }) => epoch <= newest));
      if (found.length === 0) return;
      await recoveryState().record({
        queue,
        highestId: Math.max(...found.map(({ commandId }) => commandId)),
        reserved: creates === undefined ? [] : found,
        releasedIds: [],
      });
    };

    /** Removes malformed messages from the outbox. No consumer function can settle them. */
    const forget = async (malformed: readonly Malformed[]): Promise<void> => {
      const found = malformed
        .map(({ delivery }) => ({ commandId: Number(delivery.messageId), digest: digestOf(delivery) }))
        .filter(({ commandId }) => Number.isSafeInteger(commandId) && commandId > 0);
      if (hasOutbox) await outbox().forget(queue, found);
    };

    const pass = ({ epoch }: Barrier): Promise<void> => recoveryState().passBarrier(queue, epoch);

    return { checkNumbers, record, deadLetter: unstored.deadLetter, forget, defer: unstored.defer, pass };
  };

  return <Schema extends z.ZodType<object>, Uses extends object, Stored>(
    contract: CommandContract<Schema>,
    consumer: Consumer<z.output<Schema>, Uses, Stored>,
    providers: Providers<Uses>,
  ) => {
    type Command = Received<z.output<Schema>>;
    allowLongCalls();
    const logOutage = logClientError(`A server of ${contract.queue}`);
    const { checkNumbers, record, deadLetter, forget, defer, pass } = forQueue(contract);

    const store = async (uses: Uses, commands: readonly Command[]): Promise<Outcome<Command, Stored>> =>
      mergeOutcomes(
        await isolatePoison(
          commands,
          (part) => consumer.store(uses, part),
          async (command, error) => {
            await record([command]);
            return { stored: [], deferred: [], dead: [{ command, reason: describeError(error) }] };
          },
        ),
      );

    /** Splits deferred commands into those with attempts left and dead ones. */
    const expire = (deferred: Outcome<Command>['deferred']) => {
      const { later = [], never = [] } = Object.groupBy(deferred, ({ command }) =>
        command.delivery.attempts < maxDeferrals() ? 'later' : 'never',
      );
      const reasonFor = ({ command: { delivery }, reason }: (typeof never)[number]) =>
        `still not possible after ${delivery.attempts} attempts: ${reason}`;
      return { later, never: never.map((one) => ({ ...one, reason: reasonFor(one) })) };
    };

    const settle = async (
      uses: Uses,
      { stored, dead }: { stored: readonly Stored[]; dead: readonly Command[] },
    ): Promise<void> => {
      const all = [
        ...stored.map((one) => ({ stored: [one], dead: [] })),
        ...dead.map((one) => ({ stored: [], dead: [one] })),
      ];
      await isolatePoison(
        all,
        (part) =>
          consumer.settle(uses, {
            stored: part.flatMap((one) => one.stored),
            dead: part.flatMap((one) => one.dead),
          }),
        async (_one, error) => {
          // The command is stored or a dead letter. It stays in the outbox, and an alarm watches the outbox's
          // age.
          logger.error('A command could not be settled', {
            code: 'settle-failed',
            queue: contract.queue,
            error,
          });
        },
      );
    };

    /** Reads and stores the commands of a batch, and settles the stored ones. */
    const persist = async (uses: Uses, event: unknown) => {
      const check = createEpochCheck(contract.queue, () => recoveryState().epochs(contract.queue));
      const parts = await storeInParts(
        partsOf(messagesOf(event), consumer.partSize),
        async (messages) => {
          const read = readMessages(messages, contract.schema, {
            maxAttempts: maxDeferrals(),
            takesBarriers: contract.outbox,
          });
          const { commands, barriers, malformed } = await check(read);
          const { within, beyond } =
            contract.creates !== undefined ? await checkNumbers(commands) : { within: commands, beyond: [] };
          for (const { delivery } of beyond) malformed.push(malformedBy(delivery, TOO_HIGH));
          const outcome = await store(uses, within);
          return {
            barriers,
            malformed,
            outcome,
            hasForeign: within.some(({ digest }) => digest === undefined),
          };
        },
        async ({ outcome, hasForeign }) => {
          await settle(uses, { stored: outcome.stored, dead: [] });
          if (hasForeign && contract.outbox) await gate().raiseClock(Date.now() * 1000);
        },
      );
      return {
        ...mergeOutcomes(parts.map(({ outcome }) => outcome)),
        malformed: parts.flatMap(({ malformed }) => malformed),
        barriers: parts.flatMap(({ barriers }) => barriers),
      };
    };

    const consume = async (event: unknown, uses: Uses): Promise<void> => {
      const { deferred, dead: refused, malformed, barriers } = await persist(uses, event);
      const { later, never } = expire(deferred);
      const dead = [...refused, ...never];
      await record(malformed.map(({ content }) => content));
      await deadLetter([...dead.map(toUnstored), ...malformed]);
      await settle(uses, { stored: [], dead: dead.map(({ command }) => command) });
      await forget(malformed);
      await defer(later.map(toUnstored));
      for (const barrier of barriers) await pass(barrier);
    };

    const handle = middy<unknown, void, Error, Context>({ timeoutEarlyInMillis: 0 }).handler(
      async (event) => {
        try {
          await prepareServices();
          await consume(event, provide<Uses>(providers));
        } catch (error) {
          // Lambda logs a thrown error without its cause, which has the server's message.
          if (isKnownError(error, 'unavailable')) logOutage(error);
          throw error;
        }
      },
    );
    return (event: unknown, context: Context): Promise<void> =>
      logContext.run(
        { function: context.functionName, requestId: context.awsRequestId, queue: contract.queue },
        () => handle(event, context),
      );
  };
};

const partsOf = <Message>(
  messages: readonly Message[],
  size = Math.max(messages.length, 1),
): (readonly Message[])[] =>
  Array.from({ length: Math.ceil(messages.length / size) }, (_, part) =>
    messages.slice(part * size, (part + 1) * size),
  );

const toUnstored = <Command>({
  command,
  reason,
}: {
  command: Received<Command>;
  reason: string;
}): Unstored => ({
  delivery: command.delivery,
  reason,
});

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
