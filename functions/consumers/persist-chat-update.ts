import { type Consumer, consumerHandler } from '#lib/consumer/consumer-handler.ts';
import type { Read } from '#lib/contracts/commands/command.ts';
import { updateChatCommand } from '#lib/contracts/commands/update-chat.ts';
import { chatReference } from '#lib/domain/reference.ts';
import type { Chats } from '#lib/mysql/chats.ts';
import type { Erasable } from '#lib/redis/commands/all.ts';
import type { Directory } from '#lib/redis/window/directory.ts';
import { chats } from '#lib/runtime/services/mysql.ts';
import { directory } from '#lib/runtime/services/redis.ts';
import { settles } from '#lib/runtime/services/writing.ts';
import type { Settling } from '#lib/writing/settling.ts';

type Command = Read<typeof updateChatCommand>;
type Uses = {
  chats: Pick<Chats, 'update' | 'storedAmong'>;
  directory: Pick<Directory, 'pendingCreations'>;
  settles: Pick<Settling, 'update-chat'>;
};

/** Stores new titles of chats, and deletions of chats. */
export const persistChatUpdate: Consumer<Command, Uses, Command & Erasable> = {
  store: ({ chats }, commands) => chats.update(commands),
  settle: ({ settles }, outcome) => settles['update-chat'](outcome),
  // An edit that is given up is lost, and its chat appears again after a deletion. Redis is asked before MySQL: a chat that
  // is no longer pending is stored.
  waitsOn: async ({ chats, directory }, commands) => {
    const pending = await directory.pendingCreations(commands);
    const stored = await chats.storedAmong(commands);
    return new Set(
      commands.filter((command) => {
        const reference = chatReference(command);
        return pending.has(reference) || stored.has(reference);
      }),
    );
  },
};

export const handler = consumerHandler(updateChatCommand, persistChatUpdate, { chats, directory, settles });
