import type { Indexing } from '#lib/chat/indexing.ts';
import { type Batch, consumerHandler } from '#lib/consumer/consumer-handler.ts';
import { type UpdateMessage, updateMessageCommand } from '#lib/contracts/commands.ts';
import type { Messages } from '#lib/mysql/messages.ts';
import type { Outbox } from '#lib/redis/outbox.ts';
import { indexing, messages, outbox } from '#lib/runtime/services.ts';

type Uses = {
  messages: Pick<Messages, 'update'>;
  outbox: Pick<Outbox, 'settleMessageUpdates'>;
  indexing: Indexing;
};

/**
 * Delivery is at least once and a throw redelivers the whole batch: every step here may be repeated.
 * Settling also makes the cache agree with the row that was written.
 */
export const persistMessageUpdates = async (
  batch: Batch<UpdateMessage>,
  { messages, outbox, indexing }: Uses,
) => {
  const placed = await messages.update(batch.commands);
  const dead = await batch.setAside(placed);
  await outbox.settleMessageUpdates([
    ...placed.done.map((command) => ({ ...command, version: command.commandId })),
    ...dead,
  ]);
  await indexing.handOn(placed.stored);
};

export const handler = consumerHandler(updateMessageCommand, persistMessageUpdates, {
  messages,
  outbox,
  indexing,
});
