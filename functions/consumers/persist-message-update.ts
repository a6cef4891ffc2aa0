import { type Consumer, consumerHandler } from '#lib/consumer/consumer-handler.ts';
import type { Read } from '#lib/contracts/commands/command.ts';
import { updateMessageCommand } from '#lib/contracts/commands/update-message.ts';
import { messageReference } from '#lib/domain/reference.ts';
import type { Messages, SettledMessage } from '#lib/mysql/messages.ts';
import type { Outbox } from '#lib/redis/commands/outbox.ts';
import { messages } from '#lib/runtime/services/mysql.ts';
import { outbox } from '#lib/runtime/services/redis.ts';
import { indexing } from '#lib/runtime/services/writing.ts';
import type { Indexing } from '#lib/writing/hand-on.ts';

type Uses = {
  messages: Pick<Messages, 'update'>;
  outbox: Pick<Outbox, 'settleMessageUpdates'>;
  indexing: Indexing;
};

/** Stores new texts of messages and hands them on to the index. */
export const persistMessageUpdate: Consumer<Read<typeof updateMessageCommand>, Uses, SettledMessage> = {
  store: ({ messages }, commands) => messages.update(commands),
  settle: async ({ outbox, indexing }, { stored, dead }) => {
    await outbox.settleMessageUpdates([...stored, ...dead]);
    // Edits of one message carry the same row.
    const rows = new Map(stored.map((message) => [messageReference(message), message]));
    await indexing.handOn([...rows.values()]);
  },
};

export const handler = consumerHandler(updateMessageCommand, persistMessageUpdate, {
  messages,
  outbox,
  indexing,
});
