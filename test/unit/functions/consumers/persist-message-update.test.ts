import { expect, it } from 'vitest';
import type { Read } from '#lib/contracts/commands/command.ts';
import type { updateMessageCommand } from '#lib/contracts/commands/update-message.ts';
import type { Message } from '#lib/domain/message.ts';
import type { SettledMessage } from '#lib/mysql/messages.ts';
import { persistMessageUpdate } from '../../../../functions/consumers/persist-message-update.ts';
import { edited } from '../../../support/commands.ts';

type Command = Read<typeof updateMessageCommand>;

const row = (messageNumber: number, commandId: number): SettledMessage => ({
  token: 'app',
  chatNumber: 1,
  messageNumber,
  senderId: 7,
  senderName: 'Ada',
  body: 'new',
  createdAtMs: 1_000,
  version: 9,
  commandId,
});
const command: Command = {
  token: 'app',
  chatNumber: 1,
  messageNumber: 3,
  body: 'new',
  ...edited(30),
};

type Settled = { stored: readonly { commandId: number }[]; dead: readonly { commandId: number }[] };

/** Records the calls to Redis and to the index's queue, in order. */
const createUses = ({ isRedisUp = true } = {}) => {
  const steps: string[] = [];
  return {
    steps,
    uses: {
      messages: {
        update: async () => ({ stored: [], deferred: [], dead: [] }),
        states: async () => {
          steps.push('ask MySQL');
          return new Map([['app:1:4', { isDeleted: false, commandId: 1 }]]);
        },
      },
      recentMessages: {
        pendingAmong: async () => {
          steps.push('ask Redis');
          return new Set(['app:1:3']);
        },
      },
      settles: {
        'update-message': async ({ stored, dead }: Settled) => {
          if (!isRedisUp) throw new Error('Redis is down');
          const ids = [...stored, ...dead].map(({ commandId }) => commandId);
          steps.push(`settle ${ids}`);
        },
      },
      indexing: {
        handOn: async (messages: readonly Message[]) => {
          steps.push(`hand on ${messages.map(({ messageNumber }) => messageNumber)}`);
        },
      },
    },
  };
};

it('settles every edit, and hands a message with several edits on to the index once', async () => {
  const { uses, steps } = createUses();
  await persistMessageUpdate.settle(uses, { stored: [row(1, 10), row(1, 11), row(2, 20)], dead: [] });
  expect(steps).toEqual(['settle 10,11,20', 'hand on 1,2']);
});

it('settles dead edits, which the index never gets', async () => {
  const { uses, steps } = createUses();
  await persistMessageUpdate.settle(uses, { stored: [row(1, 10)], dead: [command] });
  expect(steps).toEqual(['settle 10,30', 'hand on 1']);
});

it('hands on nothing that could not be settled', async () => {
  const { uses, steps } = createUses({ isRedisUp: false });
  await expect(persistMessageUpdate.settle(uses, { stored: [row(1, 10)], dead: [] })).rejects.toThrow(
    'Redis is down',
  );
  expect(steps).toEqual([]);
});

it('keeps edits waiting while their messages are on their way', async () => {
  const { uses, steps } = createUses();
  const [pending, stored, unknown] = [3, 4, 5].map((messageNumber) => ({ ...command, messageNumber }));
  const waiting = await persistMessageUpdate.waitsOn?.(
    uses,
    [pending, stored, unknown].filter((edit) => edit !== undefined),
  );
  expect([...(waiting ?? [])]).toEqual([pending, stored]);
  // A message that is settled in between is stored.
  expect(steps).toEqual(['ask Redis', 'ask MySQL']);
});
