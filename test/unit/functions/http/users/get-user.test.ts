import { expect, it } from 'vitest';
import { getUser } from '../../../../../functions/http/users/get-user.ts';

const profile = { name: 'Ada', email: 'ada@example.org', handle: 'k3v9x2lr8tn5bw1c' };
const usersOf = (known: number) => ({
  users: { findProfile: async (id: number) => (id === known ? profile : undefined) },
});

it('answers the caller', async () => {
  expect(await getUser({ caller: { id: 7, name: 'Ada', generation: 0 } }, usersOf(7))).toEqual(profile);
});

it('refuses a token whose user is gone', async () => {
  await expect(getUser({ caller: { id: 8, name: 'Bob', generation: 0 } }, usersOf(7))).rejects.toMatchObject({
    code: 'unauthenticated',
  });
});
