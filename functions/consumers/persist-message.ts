import type { Indexing } from '#lib/chat/indexing.ts';
import { type Consumer, consumerHandler } from '#lib/consumer/consumer-handler.ts';
import { type CreateMessage, createMessageCommand } from '#lib/contracts/commands.ts';
import type { Messages, SettledMessage } from '#lib/mysql/messages.ts';
import type { Outbox } from '#lib/redis/outbox.ts';
import { indexing, messages, outbox } from '#lib/runtime/services.ts';

type Uses = {
  messages: Pick<Messages, 'insert'>;
  outbox: Pick<Outbox, 'settleMessages'>;
  indexing: Indexing;
};

/** Redis settles one part of a batch while the broker takes the part before it. */
const PART = 250;

/** Stores new messages and hands them on to the index. */
export const persistMessage: Consumer<CreateMessage, Uses, SettledMessage> = {
  store: ({ messages }, commands) => messages.insert(commands),
  settle: async ({ outbox, indexing }, { stored, dead }) => {
    const withoutVersion = dead.map(({ version: _version, ...command }) => ({
      ...command,
      createdAtMs: command.dateMs,
    }));
    // Settling moves a message from the outbox of MySQL to the outbox of the index in one step, so that one
    // of them always has it. The publish to the index comes after it, because `indexMessage` removes the
    // message from that outbox.
    let settled: readonly SettledMessage[] = [];
    for (let from = 0; from < stored.length; from += PART) {
      const part = stored.slice(from, from + PART);
      await Promise.all([outbox.settleMessages(part), indexing.handOn(settled)]);
      settled = part;
    }
    await Promise.all([outbox.settleMessages(withoutVersion), indexing.handOn(settled)]);
  },
};

export const handler = consumerHandler(createMessageCommand, persistMessage, { messages, outbox, indexing });
