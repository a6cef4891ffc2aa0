import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseEmailAddress } from '#lib/domain/email-address.ts';

describe('an e-mail address', () => {
  it('is one account in any case of its letters', () => {
    fc.assert(
      fc.property(fc.emailAddress(), fc.array(fc.boolean()), (address, upper) => {
        const parsed = parseEmailAddress(address);
        fc.pre(parsed !== undefined);
        const other = [...address]
          .map((letter, i) => (upper[i % (upper.length || 1)] ? letter.toUpperCase() : letter.toLowerCase()))
          .join('');
        expect(parseEmailAddress(other)).toBe(parsed);
        expect(parseEmailAddress(parsed ?? '')).toBe(parsed);
      }),
    );
  });

  it.each([
    ' a@example.org',
    'a@example.org ',
    'a@example.org\n',
    'a@example.org\u0000',
    'a @example.org',
    'a@b@example.org',
    '\u0430@example.org',
    'a@ex\u00e4mple.org',
    '\u212ba@example.org',
    'a@\u212aelvin.org',
    'a@example.org\u200b',
    '\ufeffa@example.org',
    'a@-example.org',
    `${'a'.repeat(243)}@example.org`,
    '@example.org',
    'example.org',
    '',
  ])('is not %j', (text) => {
    expect(parseEmailAddress(text)).toBeUndefined();
  });

  it('has 254 characters at most', () => {
    const longest = `${'a'.repeat(242)}@example.org`;
    expect(longest).toHaveLength(254);
    expect(parseEmailAddress(longest)).toBe(longest);
  });
});
