import { type Consumer, consumerHandler } from '#lib/consumer/consumer-handler.ts';
import type { Read } from '#lib/contracts/commands/command.ts';
import { createChatCommand } from '#lib/contracts/commands/create-chat.ts';
import type { Chats } from '#lib/mysql/chats.ts';
import type { Outbox } from '#lib/redis/commands/outbox.ts';
import { chats } from '#lib/runtime/services/mysql.ts';
import { outbox } from '#lib/runtime/services/redis.ts';

type Uses = { chats: Pick<Chats, 'insert'>; outbox: Pick<Outbox, 'settleChats'> };

/** Stores new chats. */
export const persistChat: Consumer<Read<typeof createChatCommand>, Uses> = {
  store: ({ chats }, commands) => chats.insert(commands),
  settle: ({ outbox }, outcome) => outbox.settleChats(outcome),
};

export const handler = consumerHandler(createChatCommand, persistChat, { chats, outbox });
