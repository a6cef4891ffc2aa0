import { type Batch, consumerHandler } from '#lib/consumer/consumer-handler.ts';
import { type CreateChat, createChatCommand } from '#lib/contracts/commands.ts';
import type { Chats } from '#lib/mysql/chats.ts';
import type { Outbox } from '#lib/redis/outbox.ts';
import { chats, outbox } from '#lib/runtime/services.ts';

type Uses = { chats: Pick<Chats, 'insert'>; outbox: Pick<Outbox, 'settleChats'> };

/** Delivery is at least once and a throw redelivers the whole batch: every step here may be repeated. */
export const persistChats = async (batch: Batch<CreateChat>, { chats, outbox }: Uses) => {
  const placed = await chats.insert(batch.commands);
  const dead = await batch.setAside(placed);
  await outbox.settleChats(placed.done, dead);
};

export const handler = consumerHandler(createChatCommand, persistChats, { chats, outbox });
