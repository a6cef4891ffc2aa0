import { expect, it, vi } from 'vitest';
import type { UpdateApplication } from '#lib/contracts/commands.ts';
import { persistApplicationUpdate } from '../../../../functions/consumers/persist-application-update.ts';

const command = (commandId: number): UpdateApplication => ({
  token: 'app',
  name: `Name ${commandId}`,
  dateMs: 1_000,
  commandId,
});
const [first, second] = [command(1), command(2)];

/** MySQL has not stored the application yet. */
const createUses = () => ({
  applications: {
    update: async <Of extends UpdateApplication>(commands: readonly Of[]) => ({
      stored: [],
      deferred: commands.map((one) => ({ command: one, reason: 'not stored yet' })),
      dead: [],
    }),
  },
  outbox: { settleApplications: vi.fn(async () => undefined) },
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
  expect(uses.outbox.settleApplications).toHaveBeenCalledExactlyOnceWith({
    queue: 'update-application',
    stored: [first],
    dead: [second],
  });
});
