import { type Batch, consumerHandler } from '#lib/consumer/consumer-handler.ts';
import { type IndexMessage, indexMessageCommand } from '#lib/contracts/commands.ts';
import type { MessageIndex } from '#lib/opensearch/message-index.ts';
import type { Outbox } from '#lib/redis/outbox.ts';
import { messageIndex, outbox } from '#lib/runtime/services.ts';

type Uses = { messageIndex: Pick<MessageIndex, 'write'>; outbox: Pick<Outbox, 'settleIndexed'> };

/**
 * Delivery is at least once and a throw redelivers the whole batch: every step here may be repeated.
 * The index keeps the newest version whatever the order.
 */
export const indexMessages = async (batch: Batch<IndexMessage>, { messageIndex, outbox }: Uses) => {
  const newest = new Map<string, IndexMessage>();
  for (const command of batch.commands) {
    const key = `${command.token}:${command.chatNumber}:${command.messageNumber}`;
    const other = newest.get(key);
    if (other === undefined || other.version < command.version) newest.set(key, command);
  }
  const commands = [...newest.values()];
  const { refused } = await messageIndex.write(
    commands.map(({ editedAt, ...message }) => ({
      ...message,
      ...(editedAt === undefined ? {} : { editedAt }),
    })),
  );
  const reasons = new Map(
    refused.map(({ message, reason }) => [
      `${message.token}:${message.chatNumber}:${message.messageNumber}`,
      reason,
    ]),
  );
  const dead = await batch.setAside({
    defer: [],
    dead: [...newest].flatMap(([key, command]) => {
      const reason = reasons.get(key);
      return reason === undefined ? [] : [{ command, reason: `refused by the index: ${reason}` }];
    }),
  });
  // What failed alone is among the dead only: it comes without commands.
  await outbox.settleIndexed([...commands, ...dead]);
};

export const handler = consumerHandler(indexMessageCommand, indexMessages, { messageIndex, outbox });
