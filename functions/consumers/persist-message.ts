import type { Indexing } from '#lib/chat/indexing.ts';
import { type Batch, consumerHandler } from '#lib/consumer/consumer-handler.ts';
import { type CreateMessage, createMessageCommand } from '#lib/contracts/commands.ts';
import type { Messages } from '#lib/mysql/messages.ts';
import type { Outbox } from '#lib/redis/outbox.ts';
import { indexing, messages, outbox } from '#lib/runtime/services.ts';

type Uses = {
  messages: Pick<Messages, 'insert'>;
  outbox: Pick<Outbox, 'settleMessages'>;
  indexing: Indexing;
};

/**
 * Delivery is at least once and a throw redelivers the whole batch: every step here may be repeated.
 * The outbox moves a message from "not in MySQL" to "not in the index" in one step, so that it is always in one of them
 * until both have it.
 */
export const persistMessages = async (batch: Batch<CreateMessage>, { messages, outbox, indexing }: Uses) => {
  const placed = await messages.insert(batch.commands);
  const dead = await batch.setAside(placed);
  const versions = new Map(placed.stored.map((row) => [keyOf(row), row.version]));
  await outbox.settleMessages([
    ...placed.done.map((command) => ({
      ...command,
      createdAtMs: Date.parse(command.date),
      version: versions.get(keyOf(command)) ?? command.commandId,
    })),
    ...dead.map((command) => ({ ...command, createdAtMs: Date.parse(command.date) })),
  ]);
  await indexing.handOn(placed.stored);
};

const keyOf = (of: { token: string; chatNumber: number; messageNumber: number }) =>
  `${of.token}:${of.chatNumber}:${of.messageNumber}`;

export const handler = consumerHandler(createMessageCommand, persistMessages, {
  messages,
  outbox,
  indexing,
});
