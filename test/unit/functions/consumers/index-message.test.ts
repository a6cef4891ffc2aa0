import { describe, expect, it } from 'vitest';
import type { Read } from '#lib/contracts/commands/command.ts';
import type { indexMessageCommand } from '#lib/contracts/commands/index-message.ts';
import { indexMessage } from '../../../../functions/consumers/index-message.ts';

type Command = Read<typeof indexMessageCommand>;

const message = (messageNumber: number, version: number): Command => ({
  token: 'app',
  chatNumber: 1,
  messageNumber,
  senderName: 'Ada',
  body: `by ${version}`,
  createdAt: '2026-01-01T00:00:00.000Z',
  version,
});

describe('indexing a batch', () => {
  it('writes the newest version of each message once', async () => {
    const written: number[][] = [];
    const uses = {
      messageIndex: {
        write: async <Of extends { version: number }>(messages: readonly Of[]) => {
          written.push(messages.map(({ version }) => version));
          return { refused: [] };
        },
        remove: async () => undefined,
      },
      settles: { 'index-message': async () => undefined },
    };
    const { stored } = await indexMessage.store(uses, [
      message(1, 5),
      message(1, 9),
      message(1, 7),
      message(2, 6),
    ]);
    expect(written).toEqual([[9, 6]]);
    expect(stored.map(({ version }) => version)).toEqual([9, 6]);
  });

  it('makes dead letters only of messages that the index refuses', async () => {
    const uses = {
      messageIndex: {
        write: async <Of extends { messageNumber: number }>(messages: readonly Of[]) => ({
          refused: messages
            .filter(({ messageNumber }) => messageNumber === 2)
            .map((one) => ({ message: one, reason: '400' })),
        }),
        remove: async () => undefined,
      },
      settles: { 'index-message': async () => undefined },
    };
    const { stored, dead } = await indexMessage.store(uses, [message(1, 1), message(2, 2), message(3, 3)]);
    expect(stored.map(({ messageNumber }) => messageNumber)).toEqual([1, 3]);
    expect(dead).toMatchObject([{ command: { messageNumber: 2 }, reason: 'refused by the index: 400' }]);
  });

  it('removes the document of a refused deletion, which stays in the outbox', async () => {
    const removed: number[] = [];
    const uses = {
      messageIndex: {
        write: async <Of>(messages: readonly Of[]) => ({
          refused: messages.map((one) => ({ message: one, reason: '400' })),
        }),
        remove: async (refs: readonly { messageNumber: number }[]) => {
          removed.push(...refs.map(({ messageNumber }) => messageNumber));
        },
      },
      settles: { 'index-message': async () => undefined },
    };
    const deletion: Command = { ...message(2, 9), body: '', deleted: true };
    const { stored, dead } = await indexMessage.store(uses, [message(1, 1), deletion]);
    expect(removed).toEqual([2]);
    expect(stored).toEqual([]);
    expect(dead).toMatchObject([{ command: { messageNumber: 1 } }]);
  });
});
