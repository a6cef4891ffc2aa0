import { describe, expect, it } from 'vitest';
import { KnownError } from '#lib/domain/errors.ts';
import { createPasswordCheck } from '#lib/reading/password-check.ts';

const user = {
  id: 7,
  name: 'Ada',
  email: 'ada@example.org',
  handle: 'adaadaadaadaada7',
  passwordHash: 'hash',
  generation: 3,
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
    },
  };
};
const request = (user: string, password = 'right') => ({
  credentials: { user, password },
  clientAddress: '2001:db8:1:2:3:4:5:6',
});
const refused = { code: 'unauthenticated', logCode: 'sign-in-refused' };

describe('a password', () => {
  it.each(['ada@example.org', 'ADA@Example.org'])('tells the user of %s', async (address) => {
    const { uses, steps } = createUses();
    expect(await createPasswordCheck(uses)(request(address))).toBe(user);
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
      await expect(createPasswordCheck(uses)(request(address, password))).rejects.toMatchObject(refused);
      expect(steps.map((step) => step.split(' ')[0])).toEqual(['begin', 'find', 'verify', 'failed']);
    }
  });

  it.each(['ada@example.org ', ' ada@example.org', 'ada', ''])(
    'refuses %j, which names no account',
    async (address) => {
      const { uses, steps } = createUses();
      await expect(createPasswordCheck(uses)(request(address))).rejects.toMatchObject(refused);
      expect(steps).toEqual([]);
    },
  );

  it('does no work for an attempt that has to wait', async () => {
    const { uses, steps } = createUses();
    const locked = new KnownError('too-many-requests', 'Wait.', { logCode: 'sign-in-locked' });
    const signInAttempts = { attempt: () => Promise.reject(locked) };
    await expect(createPasswordCheck({ ...uses, signInAttempts })(request(user.email))).rejects.toBe(locked);
    expect(steps).toEqual([]);
  });
});
