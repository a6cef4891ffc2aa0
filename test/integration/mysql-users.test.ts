import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { type EmailAddress, parseEmailAddress } from '#lib/domain/email-address.ts';
import type { NewUser } from '#lib/mysql/users.ts';
import { openStores, type Stores } from '../support/stores.ts';

let stores: Stores;
beforeAll(async () => {
  stores = await openStores(inject('urls'), 'users');
});
afterAll(() => stores?.close());

const addressOf = (text: string): EmailAddress => {
  const address = parseEmailAddress(text);
  if (address === undefined) throw new Error(`Not an address: ${text}`);
  return address;
};
const newUser = (more: Partial<NewUser> = {}): NewUser => ({
  name: 'Ada',
  email: addressOf(`${randomUUID()}@example.org`),
  passwordHash: '-',
  signUpKey: randomUUID(),
  signUpRequest: 'the request',
  nowMs: Date.now(),
  ...more,
});
const create = (user: NewUser, request = user.signUpRequest) =>
  stores.users.create({ ...user, signUpRequest: request }, async (stored) => stored === request);

const HANDLE = /^[a-z0-9]{16}$/;

describe('strings that find the same row', () => {
  const stored = 'owner.of+row@example.org';
  /** What a client may write instead of an address, meaning to reach the same row. */
  const spelling = fc
    .tuple(
      fc.constantFrom('', ' ', '\ufeff', '\u200b', '\t'),
      fc.array(fc.boolean(), { minLength: stored.length, maxLength: stored.length }),
      fc.constantFrom('', ' ', '  ', '\u00a0', '\n', '\u0000', '\u3000', '.', '\u0301', '\u00ad'),
      fc.constantFrom('', 'fullwidth', 'dotless'),
    )
    .map(([before, upper, after, trick]) => {
      const text = [...stored].map((letter, i) => (upper[i] ? letter.toUpperCase() : letter)).join('');
      const disguised =
        trick === 'fullwidth'
          ? text.replace('@', '\uff20')
          : trick === 'dotless'
            ? text.replace(/i/i, '\u0131')
            : text;
      return `${before}${disguised}${after}`;
    });

  test('share one name, which their counter goes by', async () => {
    await create(newUser({ email: addressOf(stored) }));
    const names = new Set<string>();
    await fc.assert(
      fc.asyncProperty(spelling, async (text) => {
        const address = parseEmailAddress(text);
        if (address === undefined) return;
        const user = await stores.users.findByEmail(address);
        if (user === undefined) return;
        expect(user.email).toBe(stored);
        names.add(address);
      }),
      { numRuns: 500, examples: [[stored], [stored.toUpperCase()], [`${stored} `]] },
    );
    expect([...names]).toEqual([stored]);
  });

  test('are the stored text itself: another spelling of it, as the collation compares, finds nothing', async () => {
    const address = addressOf(`${randomUUID()}@example.org`);
    for (const other of [`${address} `, address.toUpperCase()]) {
      await stores.database.write(
        'INSERT INTO users (name, email, password, created_at) VALUES (?, ?, ?, NOW(3))',
        ['Other program', other, '-'],
      );
    }
    expect(await stores.users.findByEmail(address)).toBeUndefined();
  });
});

describe('a repeated sign-up', () => {
  const DAY_MS = 24 * 60 * 60 * 1000;

  test('with the same key and request gets the first answer, and one row', async () => {
    const user = newUser();
    const first = await create(user);
    expect(await create({ ...user, passwordHash: 'another salt' })).toEqual(first);
    const rows = await stores.database.select('SELECT password FROM users WHERE email = ?', [user.email]);
    expect(rows).toEqual([{ password: '-' }]);
  });

  test('with the same key and another request is refused as unprocessable', async () => {
    const user = newUser();
    await create(user);
    await expect(create(user, 'another request')).rejects.toMatchObject({ code: 'unprocessable' });
  });

  test('with another key, or after a day, finds the address taken', async () => {
    const user = newUser({ nowMs: Date.now() - DAY_MS });
    await create(user);
    const conflict = { code: 'conflict' };
    await expect(create({ ...user, signUpKey: randomUUID() })).rejects.toMatchObject(conflict);
    await expect(create({ ...user, nowMs: user.nowMs + DAY_MS })).rejects.toMatchObject(conflict);
    expect(await create({ ...user, nowMs: user.nowMs + DAY_MS - 1 })).toEqual({
      name: user.name,
      email: user.email,
      handle: expect.stringMatching(HANDLE),
    });
  });

  test('counts its key for each address', async () => {
    const user = newUser();
    await create(user);
    const other = { ...user, email: addressOf(`${randomUUID()}@example.org`) };
    expect(await create(other, 'another request')).toEqual({
      name: user.name,
      email: other.email,
      handle: expect.stringMatching(HANDLE),
    });
  });

  test('of a row without a stored request is refused, since it cannot be compared', async () => {
    const user = newUser();
    await stores.database.write(
      'INSERT INTO users (name, email, password, sign_up_key, created_at) VALUES (?, ?, ?, ?, NOW(3))',
      [user.name, user.email, '-', user.signUpKey],
    );
    await expect(create(user)).rejects.toMatchObject({ code: 'unprocessable' });
  });
});

describe('handles', () => {
  const addOld = async () => {
    const email = `${randomUUID()}@example.org`;
    await stores.database.write(
      "INSERT INTO users (name, email, password, created_at) VALUES ('Old', ?, '-', NOW(3))",
      [email],
    );
    const [row] = await stores.database.select('SELECT id, handle FROM users WHERE email = ?', [email]);
    return { id: row?.id ?? 0, handle: row?.handle };
  };

  test('differ, and stay as they are', async () => {
    const users = await Promise.all([1, 2, 3].map(() => create(newUser())));
    expect(new Set(users.map(({ handle }) => handle)).size).toBe(3);
    const user = newUser();
    const { handle } = await create(user);
    expect((await create(user)).handle).toBe(handle);
  });

  test('are given to a user from before, once, also when many ask at a time', async () => {
    const old = await addOld();
    expect(old.handle).toBeNull();
    const found = await Promise.all(Array.from({ length: 8 }, () => stores.users.findProfile(old.id)));
    expect(new Set(found.map((profile) => profile?.handle)).size).toBe(1);
    expect(found[0]?.handle).toMatch(HANDLE);
  });

  test('are given in slices until nobody is without one', async () => {
    for (let i = 0; i < 5; i += 1) await addOld();
    while ((await stores.users.giveNextHandles()) > 0);
    expect(await stores.database.select('SELECT id FROM users WHERE handle IS NULL', [])).toEqual([]);
  });

  test('of a user who does not exist is not found', async () => {
    expect(await stores.users.findProfile(2 ** 40)).toBeUndefined();
  });
});
