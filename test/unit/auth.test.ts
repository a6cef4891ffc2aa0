import { Buffer } from 'node:buffer';
import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { createAccessTokens } from '#lib/auth/access-tokens.ts';
import { hashPassword, verifyPassword } from '#lib/auth/passwords.ts';
import { createCursors } from '#lib/chat/cursors.ts';

const [old, current] = ['old '.repeat(10), 'current '.repeat(5)];

describe('access tokens', () => {
  const caller = { id: 42, name: 'Zoë 🦉' };

  it('give back who they were issued to', async () => {
    const tokens = createAccessTokens([current]);
    const { accessToken, expiresIn } = await tokens.issue(caller);
    expect(expiresIn).toBe(3600);
    expect(await tokens.verify(accessToken)).toEqual(caller);
  });

  it('hide what they hold', async () => {
    const { accessToken } = await createAccessTokens([current]).issue({ id: 987_654_321, name: 'Ada' });
    const decoded = accessToken.split('.').map((part) => Buffer.from(part, 'base64url').toString('latin1'));
    expect(decoded.join()).not.toMatch(/987654321|Ada/);
  });

  it('outlive a rotation: the first secret encrypts, the others still decrypt', async () => {
    const before = await createAccessTokens([old]).issue(caller);
    const after = await createAccessTokens([current, old]).issue(caller);
    expect(await createAccessTokens([current, old]).verify(before.accessToken)).toEqual(caller);
    await expect(createAccessTokens([current]).verify(before.accessToken)).rejects.toMatchObject({
      code: 'unauthenticated',
    });
    expect(await createAccessTokens([current]).verify(after.accessToken)).toEqual(caller);
  });

  it('expire', async () => {
    vi.useFakeTimers({ now: 1_700_000_000_000 });
    try {
      const tokens = createAccessTokens([current]);
      const { accessToken, expiresIn } = await tokens.issue(caller);
      vi.setSystemTime(1_700_000_000_000 + (expiresIn - 1) * 1000);
      expect(await tokens.verify(accessToken)).toEqual(caller);
      vi.setSystemTime(1_700_000_000_000 + expiresIn * 1000);
      await expect(tokens.verify(accessToken)).rejects.toMatchObject({
        code: 'unauthenticated',
        message: 'The access token has expired.',
      });
    } finally {
      vi.useRealTimers();
    }
  });

  it('are refused when any character is another', async () => {
    const tokens = createAccessTokens([current]);
    const { accessToken } = await tokens.issue(caller);
    await fc.assert(
      fc.asyncProperty(
        fc.nat(accessToken.length - 1),
        fc.constantFrom(...'AZaz09-_.'),
        async (i, character) => {
          const tampered = accessToken.slice(0, i) + character + accessToken.slice(i + 1);
          // The last character of a part may hold bits that say nothing.
          const bytes = (token: string) =>
            token.split('.').map((part) => Buffer.from(part, 'base64url').toString('hex'));
          fc.pre(bytes(tampered).join() !== bytes(accessToken).join());
          await expect(tokens.verify(tampered)).rejects.toMatchObject({ code: 'unauthenticated' });
        },
      ),
    );
  });
});

describe('cursors', () => {
  const chat = { token: 'application', chatNumber: 7 };
  const position = fc.record({
    createdAtMs: fc.integer({ min: 0, max: 4_000_000_000_000 }),
    messageNumber: fc.integer({ min: 1, max: 4_294_967_295 }),
  });

  it('give back their place', () => {
    const cursors = createCursors([current]);
    fc.assert(
      fc.property(position, (place) => {
        const cursor = cursors.write(place, chat);
        expect(cursor).toMatch(/^[\w.-]{1,200}$/);
        expect(cursors.read(cursor, chat)).toEqual(place);
      }),
    );
  });

  it('are of one chat', () => {
    const cursors = createCursors([current]);
    const cursor = cursors.write({ createdAtMs: 1, messageNumber: 1 }, chat);
    expect(cursors.read(cursor, { ...chat, chatNumber: 8 })).toBeUndefined();
    expect(cursors.read(cursor, { ...chat, token: 'another' })).toBeUndefined();
  });

  it('outlive a rotation', () => {
    const place = { createdAtMs: 1, messageNumber: 1 };
    const cursor = createCursors([old]).write(place, chat);
    expect(createCursors([current, old]).read(cursor, chat)).toEqual(place);
    expect(createCursors([current]).read(cursor, chat)).toBeUndefined();
  });

  it('read nothing but what was written', () => {
    const cursors = createCursors([current]);
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(cursors.read(text, chat)).toBeUndefined();
      }),
    );
    fc.assert(
      fc.property(position, fc.nat(), fc.constantFrom(...'AZaz09-_.'), (place, at, character) => {
        const cursor = cursors.write(place, chat);
        const i = at % cursor.length;
        const tampered = cursor.slice(0, i) + character + cursor.slice(i + 1);
        fc.pre(tampered !== cursor);
        expect(cursors.read(tampered, chat)).toBeUndefined();
      }),
    );
  });
});

describe('passwords', { timeout: 30_000 }, () => {
  it('are kept as a salted hash with its strength, and verified in any Unicode form', async () => {
    const hash = await hashPassword('pa\u0301ssword 🦉');
    expect(hash).toMatch(/^\$scrypt\$ln=17,r=8,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/);
    expect(await verifyPassword('p\u00e1ssword 🦉', hash)).toBe(true);
    expect(await verifyPassword('password 🦉', hash)).toBe(false);
    expect(await hashPassword('pa\u0301ssword 🦉')).not.toBe(hash);
  });

  it('are wrong for an unknown user, and for a hash that is none', async () => {
    expect(await verifyPassword('', undefined)).toBe(false);
    expect(await verifyPassword('x', 'nobody signs in with this')).toBe(false);
  });
});
