import { expect, it } from 'vitest';
import { unavailable } from '#lib/domain/errors.ts';
import { signOut } from '../../../../../functions/http/users/sign-out.ts';
import { functionRequest } from '../../../../support/function-request.ts';

const users = {
  endTokens: async ({ generation }: { id: number; generation: number }) => generation + 1,
};

it('ends the tokens in MySQL first, and then in Redis', async () => {
  const revoked: object[] = [];
  const revoke = async (user: object) => {
    revoked.push(user);
  };
  expect(await signOut(functionRequest({}), { users, revoke })).toEqual({});
  expect(revoked).toEqual([{ id: 7, generation: 4 }]);
});

it.each([
  ['MySQL', { endTokens: () => Promise.reject(unavailable('No answer.')) }, async () => undefined],
  ['Redis', users, () => Promise.reject(unavailable('No answer.'))],
])('fails without %s', async (_server, users, revoke) => {
  await expect(signOut(functionRequest({}), { users, revoke })).rejects.toMatchObject({
    code: 'unavailable',
  });
});
