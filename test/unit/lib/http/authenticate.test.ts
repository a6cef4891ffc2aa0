import { expect, it } from 'vitest';
import { unauthenticated } from '#lib/domain/errors.ts';
import { authenticate } from '#lib/http/authenticate.ts';
import { before, contractOf, httpEvent } from '../../../support/http-event.ts';

const ada = { id: 7, name: 'Ada' };
const middleware = authenticate(() => ({
  verify: async (token) => {
    if (token === 'good.token') return ada;
    throw unauthenticated('The access token is not valid.');
  },
}));
const ask = (authentication: 'none' | 'basic' | 'bearer', authorization?: string) =>
  before(
    middleware,
    httpEvent(contractOf({ authentication }), {
      headers: authorization === undefined ? {} : { authorization },
    }),
  );
const basic = (text: string | Buffer) => `Basic ${Buffer.from(text).toString('base64')}`;

it('names the caller by the access token', async () => {
  expect((await ask('bearer', 'Bearer good.token')).caller).toEqual(ada);
  expect((await ask('bearer', 'bearer  good.token ')).caller).toEqual(ada);
});

it.each([
  ['a tab', 'Bearer\tgood.token'],
  ['two headers, joined as API Gateway does', 'Bearer good.token,Bearer good.token'],
  ['headers of two schemes', `${basic('ada:x')}, Bearer good.token`],
  ['a leading space', ' Bearer good.token'],
  ['a line break', 'Bearer good.token\nX: y'],
  ['a token of 100,000 characters', `Bearer ${'x'.repeat(100_000)}`],
  ['50,000 spaces', `Bearer${' '.repeat(50_000)}x y`],
])('refuses %s with 401', async (_what, authorization) => {
  await expect(ask('bearer', authorization)).rejects.toMatchObject({ code: 'unauthenticated' });
});

it.each([undefined, '', 'Bearer', 'Bearer ', 'Bearer a b', 'good.token', basic('ada:x'), 'Bearer bad'])(
  'refuses %j where an access token is needed',
  async (authorization) => {
    await expect(ask('bearer', authorization)).rejects.toMatchObject({ code: 'unauthenticated' });
  },
);

it('reads the address and the password of a sign-in: the first colon ends the address', async () => {
  const { credentials } = await ask('basic', basic('ada@example.org:pass:wörd 👋'));
  expect(credentials).toEqual({ user: 'ada@example.org', password: 'pass:wörd 👋' });
});

it.each([undefined, 'Basic', 'Basic ***', basic('no colon'), basic(':no address'), 'Bearer good.token'])(
  'refuses %j where a password is needed',
  async (authorization) => {
    await expect(ask('basic', authorization)).rejects.toMatchObject({ code: 'unauthenticated' });
  },
);

it('requires nothing on a public route', async () => {
  expect(await ask('none', 'Bearer bad')).not.toHaveProperty('caller');
});
