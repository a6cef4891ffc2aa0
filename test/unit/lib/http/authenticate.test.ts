import { beforeEach, describe, expect, it } from 'vitest';
import { unauthenticated, unavailable } from '#lib/domain/errors.ts';
import type { RateLimiter } from '#lib/domain/rate-limit.ts';
import { authenticate } from '#lib/http/authenticate.ts';
import type { HttpEvent } from '#lib/http/middleware.ts';
import { before, contractOf, httpEvent } from '../../../support/http-event.ts';

const ada = { id: 7, name: 'Ada', generation: 0 };
const accessTokens = {
  verify: async (token: string) => {
    if (token === 'good.token') return ada;
    if (token === 'no.server') throw unavailable('MySQL does not answer.');
    throw unauthenticated('The access token is not valid.', 'token-invalid');
  },
};
/** Counts bad tokens, and refuses the fourth of a client. */
const counted: string[] = [];
const limiter: RateLimiter = {
  limitOf: () => ({ count: 3, seconds: 60 }),
  take: (routeClass, subject) => {
    counted.push(`${routeClass} ${subject}`);
    const used = counted.filter((one) => one.endsWith(` ${subject}`)).length;
    const quota = { remaining: Math.max(0, 3 - used), resetSeconds: 9, exceeded: used > 3 };
    return { isFar: false, quota: Promise.resolve(quota), giveBack: async () => undefined };
  },
};
beforeEach(() => {
  counted.length = 0;
});
const middleware = authenticate(
  () => accessTokens,
  () => limiter,
);
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

describe('a bad token', () => {
  const bearing = (authorization: string, clientAddress = '192.0.2.1') =>
    httpEvent(contractOf({ authentication: 'bearer' }), { headers: { authorization }, clientAddress });
  const run = (event: HttpEvent) => before(middleware, event);
  const codeOf = (clientAddress: string, authorization: string): Promise<string | undefined> =>
    run(bearing(authorization, clientAddress)).then(
      () => undefined,
      ({ code }) => code,
    );

  it('is counted by the network of its client, and refused with 429 beyond the limit', async () => {
    const codes: (string | undefined)[] = [];
    for (const end of ['1', '2', '3', '4', '5']) codes.push(await codeOf(`2001:db8:1:2::${end}`, 'Bearer x'));
    expect(codes).toEqual([...Array(3).fill('unauthenticated'), ...Array(2).fill('too-many-requests')]);
    expect(new Set(counted)).toEqual(new Set(['bad-tokens 2001:db8:1:2::/64']));
    expect(await codeOf('2001:db8:1:3::1', 'Bearer x')).toBe('unauthenticated');
  });

  it('stops no good token of the same address', async () => {
    for (let i = 0; i < 5; i += 1) await codeOf('192.0.2.1', 'Bearer x');
    expect((await run(bearing('Bearer good.token'))).caller).toEqual(ada);
  });

  it.each(['', 'Bearer', basic('ada:x'), 'Bearer good.token', 'Bearer no.server'])(
    'is not what %j sends',
    async (authorization) => {
      await codeOf('192.0.2.1', authorization);
      expect(counted).toEqual([]);
    },
  );

  it('that is refused tells the rest of its limit', async () => {
    const event = bearing('Bearer x');
    await expect(run(event)).rejects.toMatchObject({ logCode: 'token-invalid' });
    expect(await event.quotaHeaders).toEqual({
      'RateLimit-Policy': '"bad-tokens";q=3;w=60',
      RateLimit: '"bad-tokens";r=2;t=9',
    });
  });
});
