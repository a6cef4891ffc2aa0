import { expect, it, vi } from 'vitest';
import type { Read } from '#lib/contracts/commands/command.ts';
import type { createChatCommand } from '#lib/contracts/commands/create-chat.ts';
import { persistChat } from '../../../../functions/consumers/persist-chat.ts';
import { created } from '../../../support/commands.ts';

type Command = Read<typeof createChatCommand>;

const command = (commandId: number): Command => ({
  token: 'app',
  chatNumber: commandId,
  creatorId: 7,
  title: undefined,
  ...created(commandId),
});
const [first, second] = [command(1), command(2)];

/** MySQL has not stored the application of the second chat yet. */
const createUses = () => ({
  chats: {
    insert: async <Of extends Command>(commands: readonly Of[]) => ({
      stored: commands.filter(({ commandId }) => commandId === 1),
      deferred: commands
        .filter(({ commandId }) => commandId === 2)
        .map((one) => ({ command: one, reason: 'not stored yet' })),
      dead: [],
    }),
  },
  settles: { 'create-chat': vi.fn(async () => undefined) },
});

it('reports which chats are stored and which have to wait for their application', async () => {
  expect(await persistChat.store(createUses(), [first, second])).toEqual({
    stored: [first],
    deferred: [{ command: second, reason: 'not stored yet' }],
    dead: [],
  });
});

it('takes stored and dead chats out of the outbox', async () => {
  const uses = createUses();
  await persistChat.settle(uses, { stored: [first], dead: [second] });
  expect(uses.settles['create-chat']).toHaveBeenCalledExactlyOnceWith({ stored: [first], dead: [second] });
});
