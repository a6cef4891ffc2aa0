import { type Consumer, consumerHandler } from '#lib/consumer/consumer-handler.ts';
import type { Read } from '#lib/contracts/commands/command.ts';
import { updateMessageCommand } from '#lib/contracts/commands/update-message.ts';
import { messageReference } from '#lib/domain/reference.ts';
import type { Messages, SettledMessage } from '#lib/mysql/messages.ts';
import type { Settles } from '#lib/redis/commands/all.ts';
import { messages } from '#lib/runtime/services/mysql.ts';
import { settles } from '#lib/runtime/services/redis.ts';
import { indexing } from '#lib/runtime/services/writing.ts';
import type { Indexing } from '#lib/writing/hand-on.ts';

type Uses = {
  messages: Pick<Messages, 'update'>;
  settles: Pick<Settles, 'update-message'>;
  indexing: Indexing;
};

/** Stores new texts of messages and hands them on to the index. */
export const persistMessageUpdate: Consumer<Read<typeof updateMessageCommand>, Uses, SettledMessage> = {
  store: ({ messages }, commands) => messages.update(commands),
  settle: async ({ settles, indexing }, outcome) => {
    await settles['update-message'](outcome);
    // Edits of one message carry the same row.
    const rows = new Map(outcome.stored.map((message) => [messageReference(message), message]));
    await indexing.handOn([...rows.values()]);
  },
};

export const handler = consumerHandler(updateMessageCommand, persistMessageUpdate, {
  messages,
  settles,
  indexing,
});
