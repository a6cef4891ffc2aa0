import { describe, expect, it } from 'vitest';
import type { Read } from '#lib/contracts/commands/command.ts';
import type { createMessageCommand } from '#lib/contracts/commands/create-message.ts';
import type { Message } from '#lib/domain/message.ts';
import type { SettledMessage } from '#lib/mysql/messages.ts';
import { persistMessage } from '../../../../functions/consumers/persist-message.ts';
import { created } from '../../../support/commands.ts';

type Command = Read<typeof createMessageCommand>;

const message = (messageNumber: number): SettledMessage => ({
  token: 'app',
  chatNumber: 1,
  messageNumber,
  senderId: 1,
  senderName: 'Ada',
  body: 'hello',
  createdAtMs: 1_000,
  version: messageNumber,
  commandId: messageNumber,
});
const command = (messageNumber: number): Command => ({
  token: 'app',
  chatNumber: 1,
  messageNumber,
  senderId: 1,
  body: 'hello',
  ...created(messageNumber),
});

type Place = { messageNumber: number; version: number };
type Settled = { stored: readonly Place[]; dead: readonly Place[] };

/** Records the function's calls to Redis and the broker in memory. */
const createUses = ({ failAt = Number.POSITIVE_INFINITY } = {}) => {
  const settled = new Map<number, number | undefined>();
  const handedOn: number[] = [];
  return {
    settled,
    handedOn,
    uses: {
      messages: { insert: async () => ({ stored: [], deferred: [], dead: [] }) },
      settles: {
        'create-message': async ({ stored, dead }: Settled): Promise<void> => {
          for (const { messageNumber } of [...stored, ...dead])
            if (messageNumber >= failAt) throw new Error('Redis is down');
          for (const { messageNumber, version } of stored) settled.set(messageNumber, version);
          for (const { messageNumber } of dead) settled.set(messageNumber, undefined);
        },
      },
      indexing: {
        handOn: async (rows: readonly Message[]): Promise<void> => {
          for (const { messageNumber } of rows) {
            expect(settled.has(messageNumber)).toBe(true);
            handedOn.push(messageNumber);
          }
        },
      },
    },
  };
};
const upTo = (count: number) => Array.from({ length: count }, (_, at) => at + 1);

describe('settling messages', () => {
  it.each([0, 1, 1_000])('hands on each of %i once, after it is settled', async (count) => {
    const { uses, settled, handedOn } = createUses();
    await persistMessage.settle(uses, { stored: upTo(count).map(message), dead: [] });
    expect([...settled.keys()]).toEqual(upTo(count));
    expect(handedOn).toEqual(upTo(count));
  });

  it('gives the index no dead message', async () => {
    const { uses, settled, handedOn } = createUses();
    await persistMessage.settle(uses, { stored: [message(1)], dead: [command(2)] });
    expect([...settled]).toEqual([
      [1, 1],
      [2, undefined],
    ]);
    expect(handedOn).toEqual([1]);
  });

  it('hands on nothing that could not be settled', async () => {
    const { uses, handedOn } = createUses({ failAt: 400 });
    const all = { stored: upTo(600).map(message), dead: [] };
    await expect(persistMessage.settle(uses, all)).rejects.toThrow('Redis is down');
    expect(handedOn).toEqual([]);
  });
});
