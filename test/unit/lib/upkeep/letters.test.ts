import { describe, expect, test } from 'vitest';
import { unavailable } from '#lib/domain/errors.ts';
import { chatReference } from '#lib/domain/reference.ts';
import { createLettersOfDeleted, discardLettersOfDeleted } from '#lib/upkeep/letters.ts';

const place = { token: 'app', chatNumber: 1 };
const date = '2026-01-01T00:00:00.000Z';
const letter = (messageNumber: number, more: object = {}) => ({
  id: `letter ${messageNumber}`,
  reason: undefined,
  attempts: undefined,
  since: undefined,
  content: Buffer.from(JSON.stringify({ ...place, messageNumber, body: 'text', ...more })),
});
/** Message 1 is stored, 2 is deleted, and the deletion of 3 is pending. */
const rows = new Map([
  ['app:1:1', { isDeleted: false, commandId: 10 }],
  ['app:1:2', { isDeleted: true, commandId: 20 }],
  ['app:1:3', { isDeleted: false, commandId: 30 }],
]);
const given = ({ isRedisUp = true } = {}) =>
  createLettersOfDeleted({
    chats: {
      deletedAmong: async (refs) => new Set(refs.map(chatReference).filter((chat) => chat === 'app:9')),
    },
    messages: { states: async () => rows },
    deletedMessages: {
      among: async () => {
        if (!isRedisUp) throw unavailable('Redis does not answer.');
        return { deleted: new Set(['app:1:3']), knowsAll: true };
      },
    },
  });
const found = async (queue: string, letters: ReturnType<typeof letter>[], uses = given()) =>
  [...(await uses(queue, letters))].map(({ id }) => id);

describe('the letters of deleted messages', () => {
  test.each(['update-message', 'index-message'])(
    'of %s are those of stored and pending deletions',
    async (queue) => {
      const letters = [letter(1), letter(2), letter(3), letter(4)];
      expect(await found(queue, letters)).toEqual(['letter 2', 'letter 3']);
      expect(await found(queue, letters, given({ isRedisUp: false }))).toEqual(['letter 2']);
    },
  );

  test('of create-message are those of the command that created the message, and of no other', async () => {
    const ours = [letter(2, { commandId: 20 }), letter(3, { commandId: 30 })];
    expect(await found('create-message', ours)).toEqual(['letter 2', 'letter 3']);
    expect(await found('create-message', [letter(2, { commandId: 21 }), letter(4)])).toEqual([]);
  });

  test('of create-message by another program are known by their date', async () => {
    rows.set('app:1:5', { isDeleted: true, commandId: Date.parse(date) * 1000 });
    expect(await found('create-message', [letter(5, { senderId: 7, date })])).toEqual(['letter 5']);
    expect(await found('create-message', [letter(2, { senderId: 7, date })])).toEqual([]);
  });

  test.each(['create-chat', 'update-chat', 'create-message', 'update-message', 'index-message'])(
    'of %s are all those of a deleted chat',
    async (queue) => {
      const inDeleted = letter(7, { chatNumber: 9, commandId: 70 });
      const withoutNumber = letter(8, { chatNumber: 9, messageNumber: undefined });
      expect(await found(queue, [letter(1), inDeleted, withoutNumber])).toEqual(['letter 7', 'letter 8']);
    },
  );

  test('have JSON with a place, and belong to a queue of messages', async () => {
    const others = [{ ...letter(2), content: Buffer.from('{"token": "app"') }, letter(2, { token: 2 })];
    expect(await found('update-message', others)).toEqual([]);
    expect(await found('create-chat', [letter(2)])).toEqual([]);
  });
});

describe('the step of the erasure', () => {
  const run = async ({ isOpen = true, dead = 2 } = {}) => {
    const discarded: unknown[] = [];
    const { slice } = discardLettersOfDeleted({
      deadLetters: {
        list: async (queue) => ({
          held: 2,
          letters: queue === 'update-message' ? [letter(1), letter(2)] : [],
        }),
        discard: async (queue, { ids }) => {
          discarded.push([queue, ids]);
          return { held: 2, looked: 2, acted: 1 };
        },
      },
      lettersOfDeleted: given(),
      publisher: { depth: async () => ({ ready: 0, retry: 0, dead }) },
      gate: { status: async () => ({ isOpen, verifying: undefined }) },
      now: () => 0,
    });
    return { erased: await slice(), discarded };
  };

  test('discards the letters of deleted messages alone', async () => {
    expect(await run()).toEqual({ erased: 1, discarded: [['update-message', ['letter 2']]] });
  });

  test('finds them among the oldest 10,000 of a queue, by look-ups of 1,000', async () => {
    const letters = Array.from({ length: 10_001 }, (_, i) => letter(i < 9_998 ? 1 : 2));
    const sizes: number[] = [];
    const uses = createLettersOfDeleted({
      chats: { deletedAmong: async () => new Set() },
      messages: {
        states: async (refs) => {
          sizes.push(refs.length);
          return rows;
        },
      },
      deletedMessages: { among: async () => ({ deleted: new Set(), knowsAll: true }) },
    });
    const discarded: string[] = [];
    await discardLettersOfDeleted({
      deadLetters: {
        list: async (queue, { limit }) => ({
          held: letters.length,
          letters: queue === 'update-message' ? letters.slice(0, limit) : [],
        }),
        discard: async (_queue, { ids = [] }) => {
          discarded.push(...ids);
          return { held: letters.length, looked: letters.length, acted: ids.length };
        },
      },
      lettersOfDeleted: uses,
      publisher: { depth: async () => ({ ready: 0, retry: 0, dead: letters.length }) },
      gate: { status: async () => ({ isOpen: true, verifying: undefined }) },
      now: () => 0,
    }).slice();
    expect(discarded).toEqual(['letter 2', 'letter 2']);
    expect(sizes).toEqual(Array(10).fill(1_000));
  });

  test('leaves time to the other steps: slow queues take turns', async () => {
    let nowMs = 0;
    const read: string[] = [];
    const { slice } = discardLettersOfDeleted({
      deadLetters: {
        list: async (queue) => {
          read.push(queue);
          nowMs += 10_000;
          return { held: 1, letters: [] };
        },
        discard: async () => ({ held: 1, looked: 1, acted: 1 }),
      },
      lettersOfDeleted: given(),
      publisher: { depth: async () => ({ ready: 0, retry: 0, dead: 1 }) },
      gate: { status: async () => ({ isOpen: true, verifying: undefined }) },
      now: () => nowMs,
    });
    await slice();
    expect(read).toEqual(['create-chat', 'update-chat']);
    await slice();
    await slice();
    expect(read).toEqual([
      'create-chat',
      'update-chat',
      'create-message',
      'update-message',
      'index-message',
      'create-chat',
    ]);
  });

  test('touches no letter while the gate is closed, and reads no empty queue', async () => {
    expect(await run({ isOpen: false })).toEqual({ erased: 0, discarded: [] });
    expect(await run({ dead: 0 })).toEqual({ erased: 0, discarded: [] });
  });
});
