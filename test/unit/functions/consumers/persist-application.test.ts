import { expect, it, vi } from 'vitest';
import type { Read } from '#lib/contracts/commands/command.ts';
import type { createApplicationCommand } from '#lib/contracts/commands/create-application.ts';
import { persistApplication } from '../../../../functions/consumers/persist-application.ts';
import { created } from '../../../support/commands.ts';

type Command = Read<typeof createApplicationCommand>;

const command = (commandId: number): Command => ({
  token: `app-${commandId}`,
  name: 'Support',
  creatorId: 7,
  ...created(commandId),
});
const [good, refused] = [command(1), command(2)];

/** MySQL refuses the second command at every attempt. */
const createUses = () => ({
  applications: {
    insert: async <Of extends Command>(commands: readonly Of[]) => ({
      stored: commands.filter(({ commandId }) => commandId === 1),
      deferred: [],
      dead: commands
        .filter(({ commandId }) => commandId === 2)
        .map((one) => ({ command: one, reason: 'no such user' })),
    }),
  },
  settles: { 'create-application': vi.fn(async () => undefined) },
});

it('reports stored and refused commands', async () => {
  expect(await persistApplication.store(createUses(), [good, refused])).toEqual({
    stored: [good],
    deferred: [],
    dead: [{ command: refused, reason: 'no such user' }],
  });
});

it('takes stored and dead creations, and no edits, out of the outbox', async () => {
  const uses = createUses();
  await persistApplication.settle(uses, { stored: [good], dead: [refused] });
  expect(uses.settles['create-application']).toHaveBeenCalledExactlyOnceWith({
    stored: [good],
    dead: [refused],
  });
});
