import { expect, it } from 'vitest';
import { unauthenticated } from '#lib/domain/errors.ts';
import { changePassword, faultsOf } from '../../../../../functions/http/users/change-password.ts';

const user = {
  id: 7,
  name: 'Augusta Ada',
  email: 'ada@example.org',
  handle: 'adaadaadaadaada7',
  passwordHash: 'old',
  generation: 3,
};

const createUses = () => {
  const steps: string[] = [];
  return {
    steps,
    uses: {
      passwordCheck: async () => {
        steps.push('check');
        return user;
      },
      passwords: { hash: async (password: string) => `hash of ${password}` },
      users: {
        changePassword: async (
          { id, passwordHash }: { id: number; passwordHash: string },
          newHash: string,
        ): Promise<number | undefined> => {
          steps.push(`write ${newHash} for ${id} in the place of ${passwordHash}`);
          return 4;
        },
      },
      revoke: async ({ id, generation }: { id: number; generation: number }) => {
        steps.push(`revoke ${id} below ${generation}`);
      },
    },
  };
};
const request = (password: string) => ({
  input: { password },
  credentials: { user: user.email, password: 'old' },
  clientAddress: '192.0.2.1',
});

it('writes the new password, then ends the tokens', async () => {
  const { uses, steps } = createUses();
  expect(await changePassword(request('correct horse'), uses)).toEqual({});
  expect(steps).toEqual([
    'check',
    'write hash of correct horse for 7 in the place of old',
    'revoke 7 below 4',
  ]);
});

it.each(['password', 'ada@example.org', 'ADA@Example.org', '        '])(
  'refuses %j before anybody looks at the old password',
  (password) => {
    for (const address of ['ada@example.org', 'ada@EXAMPLE.org'])
      expect(faultsOf({ password }, address)).toEqual([{ path: 'password', message: expect.any(String) }]);
  },
);

it('finds no fault that only the name would show', () => {
  expect(faultsOf({ password: 'augusta ada' }, 'ada@example.org')).toEqual([]);
});

it('tells nobody the name without the old password', async () => {
  const { uses, steps } = createUses();
  await expect(changePassword(request('augusta ada'), uses)).rejects.toMatchObject({ code: 'bad-input' });
  expect(steps).toEqual(['check']);
  const passwordCheck = () => Promise.reject(unauthenticated('Wrong.'));
  await expect(changePassword(request('augusta ada'), { ...uses, passwordCheck })).rejects.toMatchObject({
    code: 'unauthenticated',
  });
});

it('refuses the second of two changes of one password', async () => {
  const { uses, steps } = createUses();
  const users = { changePassword: async () => undefined };
  await expect(changePassword(request('correct horse'), { ...uses, users })).rejects.toMatchObject({
    code: 'unauthenticated',
    logCode: 'sign-in-refused',
  });
  expect(steps).toEqual(['check']);
});
