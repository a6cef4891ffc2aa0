import { describe, expect, it } from 'vitest';
import { KnownError } from '#lib/domain/errors.ts';
import { createToken } from '../../../../../functions/http/users/create-token.ts';

const user = {
  id: 7,
  name: 'Ada',
  email: 'ada@example.org',
  handle: 'adaadaadaadaada7',
  passwordHash: 'hash',
};

const createUses = () => {
  const steps: string[] = [];
  return {
    steps,
    uses: {
      users: {
        findByEmail: async (email: string) => {
          steps.push(`find ${email}`);
          return email === user.email ? user : undefined;
        },
      },
      passwords: {
        verify: async (password: string, hash: string | undefined) => {
          steps.push(`verify against ${hash}`);
          return password === 'right';
        },
      },
      signInAttempts: {
        attempt: async <Found>(
          { email, source }: { email: string; source: string },
          look: () => Promise<Found | undefined>,
        ) => {
          steps.push(`begin ${email} from ${source}`);
          const found = await look();
          steps.push(found === undefined ? 'failed' : 'succeeded');
          return found;
        },
      },
      accessTokens: { issue: async () => ({ accessToken: 'token', expiresIn: 3_600 }) },
    },
  };
};
const request = (user: string, password = 'right') => ({
  credentials: { user, password },
  clientAddress: '2001:db8:1:2:3:4:5:6',
});
const refused = { code: 'unauthenticated', logCode: 'sign-in-refused' };

describe('sign-in', () => {
  it.each(['ada@example.org', 'ADA@Example.org'])('answers a token to %s', async (address) => {
    const { uses, steps } = createUses();
    expect(await createToken(request(address), uses)).toEqual({
      accessToken: 'token',
      tokenType: 'Bearer',
      expiresIn: 3_600,
    });
    expect(steps).toEqual([
      'begin ada@example.org from 2001:db8:1:2::/64',
      'find ada@example.org',
      'verify against hash',
      'succeeded',
    ]);
  });

  it('does the same work for an unknown address as for a wrong password', async () => {
    for (const [address, password] of [
      ['nobody@example.org', 'right'],
      ['ada@example.org', 'wrong'],
    ] as const) {
      const { uses, steps } = createUses();
      await expect(createToken(request(address, password), uses)).rejects.toMatchObject(refused);
      expect(steps.map((step) => step.split(' ')[0])).toEqual(['begin', 'find', 'verify', 'failed']);
    }
  });

  it.each(['ada@example.org ', ' ada@example.org', 'ada', ''])(
    'refuses %j, which names no account',
    async (address) => {
      const { uses, steps } = createUses();
      await expect(createToken(request(address), uses)).rejects.toMatchObject(refused);
      expect(steps).toEqual([]);
    },
  );

  it('does no work for an attempt that has to wait', async () => {
    const { uses, steps } = createUses();
    const locked = new KnownError('too-many-requests', 'Wait.', { logCode: 'sign-in-locked' });
    const signInAttempts = { attempt: () => Promise.reject(locked) };
    await expect(createToken(request(user.email), { ...uses, signInAttempts })).rejects.toBe(locked);
    expect(steps).toEqual([]);
  });
});
