import { expect, it, vi } from 'vitest';
import type { Read } from '#lib/contracts/commands/command.ts';
import type { updateApplicationCommand } from '#lib/contracts/commands/update-application.ts';
import { persistApplicationUpdate } from '../../../../functions/consumers/persist-application-update.ts';
import { edited } from '../../../support/commands.ts';

type Command = Read<typeof updateApplicationCommand>;

const command = (commandId: number): Command => ({
  token: 'app',
  name: `Name ${commandId}`,
  ...edited(commandId),
});
const [first, second] = [command(1), command(2)];

/** MySQL has not stored the application yet. */
const createUses = () => ({
  applications: {
    update: async <Of extends Command>(commands: readonly Of[]) => ({
      stored: [],
      deferred: commands.map((one) => ({ command: one, reason: 'not stored yet' })),
      dead: [],
    }),
    storedAmong: async () => new Set<string>(),
  },
  directory: { pendingBesides: async () => new Set<string>() },
  settles: { 'update-application': vi.fn(async () => undefined) },
});

it('defers an edit of an application that is not stored yet', async () => {
  expect(await persistApplicationUpdate.store(createUses(), [first])).toEqual({
    stored: [],
    deferred: [{ command: first, reason: 'not stored yet' }],
    dead: [],
  });
});

it('takes stored and dead edits, and no creations, out of the outbox', async () => {
  const uses = createUses();
  await persistApplicationUpdate.settle(uses, { stored: [first], dead: [second] });
  expect(uses.settles['update-application']).toHaveBeenCalledExactlyOnceWith({
    stored: [first],
    dead: [second],
  });
});
