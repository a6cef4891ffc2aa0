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
  return {
    stored,
    /** For each later sign-up, whether it counted as a repetition of the first request. */
    same,
    uses: {
      users: {
        create: async (user: NewUser, isSameRequest: (signUpRequest: string) => boolean) => {
          if (stored[0] !== undefined) same.push(isSameRequest(stored[0].signUpRequest));
          stored.push(user);
          return { name: user.name, email: user.email, handle };
        },
      },
      passwords: { hash: async (password: string) => `hash of ${password}` },
      requestHash: createKeyedHash([Buffer.alloc(32, 1)]),
      now: () => 1_700_000_000_000,
    },
  };
};
const withKey = { key: 'key', fingerprint: '' };

describe('sign-up', () => {
  it('stores the password hashed, and nothing from which it could be guessed', async () => {
    const { uses, stored } = createUses();
    expect(await signUp({ input, idempotency: withKey }, uses)).toEqual({ name: 'Ada', email, handle });
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
    await signUp({ input, idempotency: withKey }, { ...other.uses, requestHash: otherHash });
    expect(other.stored[0]?.signUpRequest).not.toBe(stored[0]?.signUpRequest);
  });

  it('knows the same request again, and tells apart one with another name or password', async () => {
    const { uses, stored, same } = createUses();
    for (const more of [{}, {}, { password: 'another horse' }, { name: 'Grace' }]) {
      await signUp({ input: { ...input, ...more }, idempotency: withKey }, uses);
    }
    expect(new Set(stored.map(({ signUpKey }) => signUpKey)).size).toBe(1);
    expect(same).toEqual([true, false, false]);
  });

  it('gives each request without an Idempotency-Key a key of its own', async () => {
    const { uses, stored } = createUses();
    for (const _ of [1, 2]) await signUp({ input, idempotency: undefined }, uses);
    expect(new Set(stored.map(({ signUpKey }) => signUpKey)).size).toBe(2);
  });

  it.each(['password', 'ada@example.org', '        '])(
    'refuses the password %j before it is hashed',
    async (password) => {
      const { uses, stored } = createUses();
      const passwords = { hash: () => expect.unreachable() };
      await expect(
        signUp({ input: { ...input, password }, idempotency: undefined }, { ...uses, passwords }),
      ).rejects.toMatchObject({ code: 'bad-input', fields: [{ path: 'password' }] });
      expect(stored).toEqual([]);
    },
  );
});
