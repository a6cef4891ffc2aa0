import { expect, test } from 'vitest';
import { createUnread, LOOKED_AT } from '#lib/reading/unread.ts';

/** Chats with a million messages, of which none is read, and the newest ones deleted. @returns the looked-at numbers, too */
const count = async (chats: number, newestUndeleted: number) => {
  let looked = 0;
  const messagesCount = 1_000_000;
  const numbers = Array.from({ length: chats }, (_, i) => i + 1);
  const unread = createUnread({
    markers: { read: async () => [] },
    readMarkers: {
      find: async () => new Map(),
      countDeleted: async (ranges) => {
        for (const { from, to } of ranges) looked += to - from;
        return new Map(
          ranges.map(({ chatId, from, to }) => [chatId, Math.max(0, to - Math.max(from, newestUndeleted))]),
        );
      },
    },
  });
  const counts = await unread.count(
    numbers.map((chatNumber) => ({ chatNumber, messagesCount, known: undefined })),
    new Map(numbers.map((number) => [number, { chatId: number, marker: 0, newestDeleted: messagesCount }])),
  );
  return { counts, looked };
};

test('deleted messages are looked for in so many numbers at most, and the rest counts as unread', async () => {
  expect(await count(1, 0)).toEqual({ counts: [1_000], looked: LOOKED_AT });
  const { counts, looked } = await count(100, 0);
  expect(counts).toEqual(Array(100).fill(1_000));
  expect(looked).toBeLessThanOrEqual(LOOKED_AT);
});

test('the bound is far from what a chat with many deleted messages needs', async () => {
  const { counts, looked } = await count(1, 900_500);
  expect(counts).toEqual([1_000]);
  expect(looked).toBeLessThanOrEqual(LOOKED_AT);
});
