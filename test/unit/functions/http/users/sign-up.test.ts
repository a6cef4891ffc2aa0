import { describe, expect, it } from 'vitest';
import { createKeyedHash } from '#lib/auth/keyed-hash.ts';
import { parseEmailAddress } from '#lib/domain/email-address.ts';
import type { NewUser } from '#lib/mysql/users.ts';
import { signUp } from '../../../../../functions/http/users/sign-up.ts';

const email = parseEmailAddress('ada@example.org') ?? expect.unreachable();
const handle = 'k3v9x2lr8tn5bw1c';
const input = { name: 'Ada', email, password: 'correct horse battery staple' };

const createUses = () => {
  const stored: NewUser[] = [];
  const same: boolean[] = [];
  const attempts: string[] = [];
  return {
    stored,
    attempts,
    /** For each later sign-up, whether it counted as a repetition of the first request. */
    same,
    uses: {
      users: {
        create: async (user: NewUser, isSameRequest: (signUpRequest: string) => Promise<boolean>) => {
          if (stored[0] !== undefined) same.push(await isSameRequest(stored[0].signUpRequest));
          stored.push(user);
          return { name: user.name, email: user.email, handle };
        },
      },
      passwords: { hash: async (password: string) => `hash of ${password}` },
      requestHash: createKeyedHash([Buffer.alloc(32, 1)]),
      signInAttempts: {
        attempt: async <Found>(
          { email, source }: { email: string; source: string },
          look: () => Promise<Found | undefined>,
        ) => {
          attempts.push(`${email} from ${source}`);
          return look();
        },
      },
      now: () => 1_700_000_000_000,
    },
  };
};
const clientAddress = '192.0.2.7';
const withKey = { key: 'key', fingerprint: '' };

describe('sign-up', () => {
  it('stores the password hashed, and nothing from which it could be guessed', async () => {
    const { uses, stored } = createUses();
    expect(await signUp({ input, idempotency: withKey, clientAddress }, uses)).toEqual({
      name: 'Ada',
      email,
      handle,
    });
    expect(stored[0]).toEqual({
      name: 'Ada',
      email,
      passwordHash: `hash of ${input.password}`,
      signUpKey: expect.stringMatching(/^[\w-]{43}$/),
      signUpRequest: expect.stringMatching(/^[\w-]{43}$/),
      nowMs: 1_700_000_000_000,
    });
    const other = createUses();
    const otherHash = createKeyedHash([Buffer.alloc(32, 2)]);
    await signUp({ input, idempotency: withKey, clientAddress }, { ...other.uses, requestHash: otherHash });
    expect(other.stored[0]?.signUpRequest).not.toBe(stored[0]?.signUpRequest);
  });

  it('knows the same request again, and tells apart one with another name or password', async () => {
    const { uses, stored, same, attempts } = createUses();
    for (const more of [{}, {}, { password: 'another horse' }, { name: 'Grace' }]) {
      await signUp({ input: { ...input, ...more }, idempotency: withKey, clientAddress }, uses);
    }
    expect(new Set(stored.map(({ signUpKey }) => signUpKey)).size).toBe(1);
    expect(same).toEqual([true, false, false]);
    // Each answer tells whether the password is right.
    expect(attempts).toEqual(Array(3).fill('ada@example.org from 192.0.2.7'));
  });

  it('gives each request without an Idempotency-Key a key of its own', async () => {
    const { uses, stored, attempts } = createUses();
    for (const _ of [1, 2]) await signUp({ input, idempotency: undefined, clientAddress }, uses);
    expect(new Set(stored.map(({ signUpKey }) => signUpKey)).size).toBe(2);
    expect(attempts).toEqual([]);
  });

  it.each(['password', 'ada@example.org', '        '])(
    'refuses the password %j before it is hashed',
    async (password) => {
      const { uses, stored } = createUses();
      const passwords = { hash: () => expect.unreachable() };
      await expect(
        signUp(
          { input: { ...input, password }, idempotency: undefined, clientAddress },
          { ...uses, passwords },
        ),
      ).rejects.toMatchObject({ code: 'bad-input', fields: [{ path: 'password' }] });
      expect(stored).toEqual([]);
    },
  );
});
