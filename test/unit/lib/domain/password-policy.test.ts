import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import common from '#lib/domain/common-passwords.json' with { type: 'json' };
import { findPasswordFault } from '#lib/domain/password-policy.ts';

const user = { name: 'Ada Lovelace', email: 'ada.l@example.org' };
const commonest = common.passwords.flatMap((line) => line.split(' '));
const fullWidth = (text: string) =>
  [...text].map((letter) => String.fromCodePoint((letter.codePointAt(0) ?? 0) + 0xfee0)).join('');

describe('a password', () => {
  it('is refused when it is one of five thousand common ones, however it is spelled', () => {
    expect(new Set(commonest).size).toBe(5_000);
    fc.assert(
      fc.property(
        fc.constantFrom(...commonest),
        fc.constantFrom(
          (text: string) => text,
          (text: string) => text.toUpperCase(),
          (text: string) => ` ${text}\t`,
          (text: string) => [...text].join(' '),
          fullWidth,
        ),
        (password, spelled) => {
          expect(findPasswordFault(spelled(password), user)).toBe('Is one of the most common passwords');
        },
      ),
    );
  });

  it.each(['password', 'Password1', '12345678', 'qwertyuiop', 'iloveyou', 'Passw0rd', 'p a s s w o r d'])(
    'is refused as a common one: %s',
    (password) => {
      expect(findPasswordFault(password, user)).toBe('Is one of the most common passwords');
    },
  );

  it.each(['Ada Lovelace', 'adalovelace', 'ADA.L@example.org', ' ada.l '])(
    'is refused when everybody knows it of the user: %s',
    (password) => {
      expect(findPasswordFault(password, user)).toBe('Must not be the name or the e-mail address');
    },
  );

  it.each([
    '\u2800'.repeat(8),
    '\u2800\u3164\uffa0\u115f'.repeat(2),
    ' '.repeat(8),
    '\u3000'.repeat(9),
    '\u200b'.repeat(8),
    '\t \u00a0\u2060\u00ad \u3164\ufe0f',
  ])('is refused when it is blank: %j', (password) => {
    expect(findPasswordFault(password, user)).toBe('Must not be blank');
  });

  it.each([
    'aaaaaaaa',
    'aAaAaAaA',
    'ＡＡＡＡaaaa',
    '. . . . . . . .',
    'z\u200b'.repeat(8),
    '🔑'.repeat(65),
    '👍🏽'.repeat(8),
    '🇩🇪'.repeat(4),
    'e\u0301é'.repeat(4),
    '\ufdfa'.repeat(128),
    '👨‍👩‍👧‍👦\ufe0f',
    '密'.repeat(8),
    '𝒳'.repeat(8),
    '\ufffd'.repeat(8),
  ])('is refused when it is one sign, however often: %j', (password) => {
    expect(findPasswordFault(password, user)).toBe('Must not repeat one character');
  });

  it.each([
    'correct horse battery staple',
    'Ada Lovelace, 1843',
    'ein längeres Passwort',
    '🦉🐎🔋📎🦉🐎🔋🖇️',
    '密码不应该太短了吧',
    'xq7#Rt0!pL',
    '🔑🗝'.repeat(32),
    'aaaaaaab',
    '\u2800⠁⠂⠃⠄⠅⠆⠇',
  ])('is taken: %s', (password) => {
    expect(findPasswordFault(password, user)).toBeUndefined();
  });
});
