import { type Consumer, consumerHandler } from '#lib/consumer/consumer-handler.ts';
import type { Read } from '#lib/contracts/commands/command.ts';
import { indexMessageCommand } from '#lib/contracts/commands/index-message.ts';
import { messageReference } from '#lib/domain/reference.ts';
import type { MessageIndex } from '#lib/opensearch/index/message-index.ts';
import type { Settles } from '#lib/redis/commands/all.ts';
import { messageIndex } from '#lib/runtime/services/opensearch.ts';
import { settlesInRedis } from '#lib/runtime/services/redis.ts';

type Uses = { messageIndex: Pick<MessageIndex, 'write' | 'remove'>; settles: Pick<Settles, 'index-message'> };

/** The newest version of each message in a batch. */
const newestOf = <Command extends Read<typeof indexMessageCommand>>(
  commands: readonly Command[],
): Command[] => {
  const newest = new Map<string, Command>();
  for (const command of commands) {
    const reference = messageReference(command);
    const other = newest.get(reference);
    if (other === undefined || other.version < command.version) newest.set(reference, command);
  }
  return [...newest.values()];
};

/**
 * Writes messages to the search index. The index keeps the newest version of each, in any order of arrival. A deleted
 * message stays as a document without its text, whose version an older message cannot pass.
 */
export const indexMessage: Consumer<Read<typeof indexMessageCommand>, Uses> = {
  store: async ({ messageIndex }, commands) => {
    const newest = newestOf(commands);
    const { refused } = await messageIndex.write(newest);
    const isRefused = new Set(refused.map(({ message }) => message));
    // The text goes in any case. Such a deletion stays in the outbox, and so is neither stored nor dead: the index forgets
    // the version of a removed document, and an older message could bring the text back.
    const { deletions = [], messages = [] } = Object.groupBy(refused, ({ message }) =>
      message.deleted ? 'deletions' : 'messages',
    );
    await messageIndex.remove(deletions.map(({ message }) => message));
    return {
      stored: newest.filter((command) => !isRefused.has(command)),
      deferred: [],
      dead: messages.map(({ message, reason }) => ({
        command: message,
        reason: `refused by the index: ${reason}`,
      })),
    };
  },
  settle: ({ settles }, outcome) => settles['index-message'](outcome),
};

export const handler = consumerHandler(indexMessageCommand, indexMessage, {
  messageIndex,
  settles: settlesInRedis,
});
