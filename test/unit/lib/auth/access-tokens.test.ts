import { Buffer } from 'node:buffer';
import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { createAccessTokens } from '#lib/auth/access-tokens.ts';

const [old, current] = ['old '.repeat(10), 'current '.repeat(5)];

describe('access tokens', () => {
  const caller = { id: 42, name: 'Zoë 🦉', handle: 'zoezoezoezoezoe1', generation: 3 };

  it('give back who they were issued to', async () => {
    const tokens = createAccessTokens([current]);
    const { accessToken, expiresIn } = await tokens.issue(caller);
    expect(expiresIn).toBe(3600);
    expect(await tokens.verify(accessToken)).toEqual(caller);
  });

  it('may lack a handle, as those from before handles do', async () => {
    const tokens = createAccessTokens([current]);
    const { accessToken } = await tokens.issue({ id: 42, name: 'Zoë' });
    expect(await tokens.verify(accessToken)).toEqual({ id: 42, name: 'Zoë', generation: 0 });
  });

  it('are as long for one id as for any other', async () => {
    const tokens = createAccessTokens([current]);
    const lengthFor = async (id: number) => (await tokens.issue({ id, name: 'Ada' })).accessToken.length;
    const expected = await lengthFor(1);
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }), async (id) => {
        expect(await lengthFor(id)).toBe(expected);
      }),
      { numRuns: 50 },
    );
    const { accessToken } = await tokens.issue({ id: Number.MAX_SAFE_INTEGER, name: 'Ada' });
    expect(await tokens.verify(accessToken)).toEqual({
      id: Number.MAX_SAFE_INTEGER,
      name: 'Ada',
      generation: 0,
    });
  });

  it('hide their content', async () => {
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

  it.each([
    ['first seen after its end', false],
    ['verified before, and kept', true],
  ])('expire: one %s', async (_what, isKept) => {
    vi.useFakeTimers({ now: 1_700_000_000_000 });
    try {
      const tokens = createAccessTokens([current]);
      const { accessToken, expiresIn } = await tokens.issue(caller);
      vi.setSystemTime(1_700_000_000_000 + expiresIn * 1000 - 1);
      if (isKept) expect(await tokens.verify(accessToken)).toEqual(caller);
      vi.setSystemTime(1_700_000_000_000 + expiresIn * 1000);
      await expect(tokens.verify(accessToken)).rejects.toMatchObject({
        code: 'unauthenticated',
        message: 'The access token has expired.',
      });
    } finally {
      vi.useRealTimers();
    }
  });

  it.each([
    '',
    '.',
    '....',
    'x'.repeat(9_000),
    `${'x'.repeat(9_000)}....`,
    `eyJhbGciOiJub25lIn0.${'x'.repeat(20_000)}.`,
    `${Buffer.from('{"alg":"dir","enc":"A256GCM","zip":"DEF"}').toString('base64url')}..a.${'x'.repeat(9_000)}.a`,
  ])('are refused as invalid in any other form (%#)', async (token) => {
    await expect(createAccessTokens([current]).verify(token)).rejects.toMatchObject({
      code: 'unauthenticated',
      logCode: 'token-invalid',
    });
  });

  it('are refused when any character is another', async () => {
    const tokens = createAccessTokens([current]);
    const { accessToken } = await tokens.issue(caller);
    // Kept from now on: a kept token must not let a similar one pass.
    await tokens.verify(accessToken);
    await fc.assert(
      fc.asyncProperty(
        fc.nat(accessToken.length - 1),
        fc.constantFrom(...'ABCDZaz09-_.='),
        async (i, character) => {
          const tampered = accessToken.slice(0, i) + character + accessToken.slice(i + 1);
          fc.pre(tampered !== accessToken);
          await expect(tokens.verify(tampered)).rejects.toMatchObject({ code: 'unauthenticated' });
        },
      ),
    );
  });
});
