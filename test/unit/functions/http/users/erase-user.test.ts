import { expect, it } from 'vitest';
import { unauthenticated } from '#lib/domain/errors.ts';
import { eraseUser } from '../../../../../functions/http/users/erase-user.ts';

const user = {
  id: 7,
  name: 'Ada',
  email: 'ada@example.org',
  handle: 'adaadaadaadaada7',
  passwordHash: 'hash',
  generation: 3,
};
const request = { credentials: { user: user.email, password: 'right' }, clientAddress: '192.0.2.1' };

const createUses = () => {
  const steps: string[] = [];
  return {
    steps,
    uses: {
      passwordCheck: async () => user,
      users: {
        erase: async ({
          id,
          passwordHash,
        }: {
          id: number;
          passwordHash: string;
        }): Promise<number | undefined> => {
          steps.push(`erase ${id} with ${passwordHash}`);
          return 4;
        },
      },
      revoke: async ({ id, generation }: { id: number; generation: number }) => {
        steps.push(`revoke ${id} below ${generation}`);
      },
    },
  };
};

it('erases the account in MySQL, then ends its tokens', async () => {
  const { uses, steps } = createUses();
  expect(await eraseUser(request, uses)).toEqual({});
  expect(steps).toEqual(['erase 7 with hash', 'revoke 7 below 4']);
});

it('erases nothing for a wrong password, or for one that changed meanwhile', async () => {
  const { uses, steps } = createUses();
  const passwordCheck = () => Promise.reject(unauthenticated('Wrong.'));
  await expect(eraseUser(request, { ...uses, passwordCheck })).rejects.toMatchObject({
    code: 'unauthenticated',
  });
  const users = { erase: async () => undefined };
  await expect(eraseUser(request, { ...uses, users })).rejects.toMatchObject({ code: 'unauthenticated' });
  expect(steps).toEqual([]);
});
