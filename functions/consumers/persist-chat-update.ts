import { type Consumer, consumerHandler } from '#lib/consumer/consumer-handler.ts';
import type { Read } from '#lib/contracts/commands/command.ts';
import { updateChatCommand } from '#lib/contracts/commands/update-chat.ts';
import type { Chats } from '#lib/mysql/chats.ts';
import type { Settles } from '#lib/redis/commands/all.ts';
import { chats } from '#lib/runtime/services/mysql.ts';
import { settles } from '#lib/runtime/services/redis.ts';

type Uses = { chats: Pick<Chats, 'update'>; settles: Pick<Settles, 'update-chat'> };

/** Stores new titles of chats. */
export const persistChatUpdate: Consumer<Read<typeof updateChatCommand>, Uses> = {
  store: ({ chats }, commands) => chats.update(commands),
  settle: ({ settles }, outcome) => settles['update-chat'](outcome),
};

export const handler = consumerHandler(updateChatCommand, persistChatUpdate, { chats, settles });
