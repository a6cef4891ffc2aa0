import { type Consumer, consumerHandler } from '#lib/consumer/consumer-handler.ts';
import type { Read } from '#lib/contracts/commands/command.ts';
import { updateMessageCommand } from '#lib/contracts/commands/update-message.ts';
import { messageReference } from '#lib/domain/reference.ts';
import type { Messages, SettledMessage } from '#lib/mysql/messages.ts';
import type { RecentMessages } from '#lib/redis/window/recent-messages.ts';
import { messages } from '#lib/runtime/services/mysql.ts';
import { recentMessages } from '#lib/runtime/services/redis.ts';
import { indexing, settles } from '#lib/runtime/services/writing.ts';
import type { Indexing } from '#lib/writing/hand-on.ts';
import type { Settling } from '#lib/writing/settling.ts';

type Uses = {
  messages: Pick<Messages, 'update' | 'states'>;
  recentMessages: Pick<RecentMessages, 'pendingAmong'>;
  settles: Pick<Settling, 'update-message'>;
  indexing: Indexing;
};

/** Stores new texts of messages and deletions, and hands them on to the index. */
export const persistMessageUpdate: Consumer<Read<typeof updateMessageCommand>, Uses, SettledMessage> = {
  store: ({ messages }, commands) => messages.update(commands),
  settle: async ({ settles, indexing }, outcome) => {
    await settles['update-message'](outcome);
    // Edits of one message carry the same row.
    const rows = new Map(outcome.stored.map((message) => [messageReference(message), message]));
    await indexing.handOn([...rows.values()]);
  },
  // An edit that is given up is lost, and its message appears again after a deletion. Redis is asked before MySQL: a message
  // that is no longer pending is stored.
  waitsOn: async ({ messages, recentMessages }, commands) => {
    const pending = await recentMessages.pendingAmong(commands);
    const stored = await messages.states(commands);
    return new Set(
      commands.filter((command) => {
        const reference = messageReference(command);
        return pending.has(reference) || stored.has(reference);
      }),
    );
  },
};

export const handler = consumerHandler(updateMessageCommand, persistMessageUpdate, {
  messages,
  recentMessages,
  settles,
  indexing,
});
