import { expect, it, vi } from 'vitest';
import type { Read } from '#lib/contracts/commands/command.ts';
import type { updateChatCommand } from '#lib/contracts/commands/update-chat.ts';
import { persistChatUpdate } from '../../../../functions/consumers/persist-chat-update.ts';
import { edited } from '../../../support/commands.ts';

type Command = Read<typeof updateChatCommand>;

const command = (commandId: number): Command => ({
  token: 'app',
  chatNumber: 1,
  title: `Title ${commandId}`,
  ...edited(commandId),
});
const [first, second] = [command(1), command(2)];

/** MySQL has not stored the chat yet. */
const createUses = () => ({
  chats: {
    update: async <Of extends Command>(commands: readonly Of[]) => ({
      stored: [],
      deferred: commands.map((one) => ({ command: one, reason: 'not stored yet' })),
      dead: [],
    }),
    storedAmong: async () => new Set<string>(),
  },
  directory: { pendingCreations: async () => new Set<string>() },
  settles: { 'update-chat': vi.fn(async () => undefined) },
});

it('defers an edit of a chat that is not stored yet', async () => {
  expect(await persistChatUpdate.store(createUses(), [first])).toEqual({
    stored: [],
    deferred: [{ command: first, reason: 'not stored yet' }],
    dead: [],
  });
});

it('takes stored and dead edits, and no creations, out of the outbox', async () => {
  const uses = createUses();
  await persistChatUpdate.settle(uses, { stored: [first], dead: [second] });
  expect(uses.settles['update-chat']).toHaveBeenCalledExactlyOnceWith({
    stored: [first],
    dead: [second],
  });
});
