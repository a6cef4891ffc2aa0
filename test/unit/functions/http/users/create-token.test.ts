import { expect, it } from 'vitest';
import { unauthenticated } from '#lib/domain/errors.ts';
import { createToken } from '../../../../../functions/http/users/create-token.ts';

const request = { credentials: { user: 'ada@example.org', password: 'right' }, clientAddress: '192.0.2.1' };
const user = {
  id: 7,
  name: 'Ada',
  email: 'ada@example.org',
  handle: 'adaadaadaadaada7',
  passwordHash: 'hash',
  generation: 3,
};
const accessTokens = {
  issue: async ({ id, generation }: { id: number; generation?: number }) => ({
    accessToken: `token of ${id}, generation ${generation}`,
    expiresIn: 3_600,
  }),
};

it('answers a token of the generation that was read with the password', async () => {
  expect(await createToken(request, { passwordCheck: async () => user, accessTokens })).toEqual({
    accessToken: 'token of 7, generation 3',
    tokenType: 'Bearer',
    expiresIn: 3_600,
  });
});

it('answers no token to a wrong password', async () => {
  const refusal = unauthenticated('Wrong.');
  const passwordCheck = () => Promise.reject(refusal);
  await expect(createToken(request, { passwordCheck, accessTokens })).rejects.toBe(refusal);
});
