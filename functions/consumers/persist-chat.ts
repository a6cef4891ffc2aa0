import { type Consumer, consumerHandler } from '#lib/consumer/consumer-handler.ts';
import type { Read } from '#lib/contracts/commands/command.ts';
import { createChatCommand } from '#lib/contracts/commands/create-chat.ts';
import type { Chats } from '#lib/mysql/chats.ts';
import { chats } from '#lib/runtime/services/mysql.ts';
import { settles } from '#lib/runtime/services/writing.ts';
import type { Settling } from '#lib/writing/settling.ts';

type Uses = { chats: Pick<Chats, 'insert'>; settles: Pick<Settling, 'create-chat'> };

/** Stores new chats. */
export const persistChat: Consumer<Read<typeof createChatCommand>, Uses> = {
  store: ({ chats }, commands) => chats.insert(commands),
  settle: ({ settles }, outcome) => settles['create-chat'](outcome),
};

export const handler = consumerHandler(createChatCommand, persistChat, { chats, settles });
