import { expect, it } from 'vitest';
import { listChats } from '../../../../../functions/http/chats/list-chats.ts';
import { functionRequest } from '../../../../support/function-request.ts';

/** An application of six chats, of which number 6 is deleted. */
const chatDirectory = {
  list: async (_userId: number, _token: string, { skip, count }: { skip: number; count: number }) => ({
    chats: [1, 2, 3, 4, 5]
      .slice(skip, skip + count)
      .map((chatNumber) => ({ chatNumber, messagesCount: 0, unreadCount: 0 })),
    hasMore: skip + count < 6,
  }),
};
const list = async (page: number, limit: number) => {
  const { items, next } = await listChats(functionRequest({ token: 'token', page, limit }), {
    chatDirectory,
  });
  return { numbers: items.map(({ chatNumber }) => chatNumber), next };
};

it('lists the page that was asked for, and links to the next', async () => {
  expect(await list(2, 2)).toEqual({ numbers: [3, 4], next: { page: 3 } });
});

it('links to higher numbers, of which none may be left', async () => {
  expect(await list(1, 5)).toEqual({ numbers: [1, 2, 3, 4, 5], next: { page: 2 } });
  expect(await list(2, 5)).toEqual({ numbers: [], next: undefined });
});

it.each([
  [3, 2, [5]],
  [1, 6, [1, 2, 3, 4, 5]],
  [9, 2, []],
])('links no further at the end (page %i of %i each)', async (page, limit, numbers) => {
  expect(await list(page, limit)).toEqual({ numbers, next: undefined });
});
