import { expect, it } from 'vitest';
import { listApplications } from '../../../../../functions/http/applications/list-applications.ts';
import { functionRequest } from '../../../../support/function-request.ts';

/** Five applications of user 7. */
const applicationDirectory = {
  list: async (creatorId: number, { skip, count }: { skip: number; count: number }) => {
    const all = creatorId === 7 ? ['a', 'b', 'c', 'd', 'e'] : [];
    const page = all.slice(skip, skip + count);
    return {
      items: page.map((token) => ({ token, name: token, chatsCount: 0 })),
      hasMore: skip + count < all.length,
    };
  },
};
const list = async (page: number, limit: number, callerId = 7) => {
  const request = functionRequest({ page, limit }, { caller: { id: callerId, name: 'Ada', generation: 0 } });
  const { items, next } = await listApplications(request, { applicationDirectory });
  return { tokens: items.map(({ token }) => token), next };
};

it('lists the page that was asked for, and links to the next', async () => {
  expect(await list(2, 2)).toEqual({ tokens: ['c', 'd'], next: { page: 3 } });
});

it.each([
  [3, 2, ['e']],
  [1, 5, ['a', 'b', 'c', 'd', 'e']],
  [9, 2, []],
])('links no further at the end (page %i of %i each)', async (page, limit, tokens) => {
  expect(await list(page, limit)).toEqual({ tokens, next: undefined });
});

it('lists the caller’s own applications only', async () => {
  expect(await list(1, 10, 8)).toEqual({ tokens: [], next: undefined });
});
