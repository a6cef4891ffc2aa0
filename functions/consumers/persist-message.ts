import { type Consumer, consumerHandler } from '#lib/consumer/consumer-handler.ts';
import type { Read } from '#lib/contracts/commands/command.ts';
import { createMessageCommand } from '#lib/contracts/commands/create-message.ts';
import type { Messages, SettledMessage } from '#lib/mysql/messages.ts';
import { messages } from '#lib/runtime/services/mysql.ts';
import { indexing, settles } from '#lib/runtime/services/writing.ts';
import type { Indexing } from '#lib/writing/hand-on.ts';
import type { Settling } from '#lib/writing/settling.ts';

type Uses = {
  messages: Pick<Messages, 'insert'>;
  settles: Pick<Settling, 'create-message'>;
  indexing: Indexing;
};

/** Stores new messages and hands them on to the index. */
export const persistMessage: Consumer<Read<typeof createMessageCommand>, Uses, SettledMessage> = {
  store: ({ messages }, commands) => messages.insert(commands),
  settle: async ({ settles, indexing }, outcome) => {
    // Settling moves a message from the outbox of MySQL to the outbox of the index in one step, so that one
    // of them always has it. The publish to the index comes after it, because `indexMessage` removes the
    // message from that outbox.
    await settles['create-message'](outcome);
    await indexing.handOn(outcome.stored);
  },
  // Half of a full batch. Each part has a commit and a confirm of its own, so smaller parts cost more than they overlap.
  partSize: 500,
};

export const handler = consumerHandler(createMessageCommand, persistMessage, { messages, settles, indexing });
