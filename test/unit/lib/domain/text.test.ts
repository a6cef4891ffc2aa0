import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { name as nameField, title as titleField } from '#lib/contracts/fields.ts';
import { limits } from '#lib/domain/limits.ts';
import { faultOfName, lengthOf, namePattern, trimName } from '#lib/domain/text.ts';

const codePoint = fc.string({ unit: 'binary', minLength: 1, maxLength: 1 });
/** Examples of each kind of invisible character. */
const blank = fc.constantFrom(
  ...' \u00a0\u1680\u2003\u202f\u205f\u3000', // blanks
  ...'\u200b\u2060\ufeff\u00ad\u034f\u180e\u{e0020}\ufe0f', // ignorable by default
  ...'\u115f\u1160\u3164\uffa0\u2800\u{1d159}\u{16fe4}\u{13441}\u{13442}\ufffc', // fillers
  ...'\u200c\u200d\u200e\u200f\u061c', // joiners and marks of direction
  ...'\u0301\u0327\u05b0\u0903\u093e\u20dd\u20e3\u3099\u{1d165}\ufe20', // marks without a letter
  ...'\ue000\uf8ff\u{f0000}\u{10fffd}', // private use
  ...'\u0378\u05ff\u{1fffd}\u{e0fff}\u{50000}\ufdd0\uffff\u{10ffff}', // unassigned, noncharacters
  ...'\u{e0001}\u{e007f}\u{e0100}\u{e01ef}\ufe00\u180b\u180f', // tags and variation selectors
);
const refused = fc.constantFrom(
  ...'\u0000\u0009\u000a\u000d\u001f\u007f\u0085\u009f\u2028\u2029',
  ...'\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069',
);
const shown = fc.constantFrom('a', 'é', 'ß', '世', '안', 'م', '👋', '.', '𝒳', '1');
const textOf = (unit: fc.Arbitrary<string>) => fc.string({ unit, maxLength: 20 });

describe('a name', () => {
  it('shows something', () => {
    fc.assert(
      fc.property(textOf(blank), (text) => {
        expect(faultOfName(text)).toMatch('visible');
      }),
    );
  });

  it.each(['u', '', 'v'])('matches the documented pattern in JavaScript with the flags %j', (flags) => {
    const pattern = new RegExp(namePattern, flags);
    const anyText = fc.string({ unit: fc.oneof(codePoint, shown, blank, refused), maxLength: 5 });
    fc.assert(
      fc.property(anyText, (text) => {
        if (faultOfName(text) === undefined) expect(text).toMatch(pattern);
      }),
      { numRuns: 2_000 },
    );
    const invalid = [
      '',
      ' ',
      '\u00a0',
      '\u3000\u2003',
      '\u00ad',
      '\ufeff',
      '\t',
      'a\nb',
      'Ada\r',
      '\u0085Ada',
      'a\u007fb',
    ];
    for (const text of invalid) expect(text).not.toMatch(pattern);
  });

  it('has no space around it, and single spaces inside, of whatever kind and number they were', () => {
    const spaces = fc.string({
      unit: fc.constantFrom(...' \u00a0\u1680\u2000\u2003\u200a\u202f\u205f\u3000'),
      minLength: 1,
      maxLength: 5,
    });
    const words = fc.array(fc.string({ unit: shown, minLength: 1, maxLength: 5 }), {
      minLength: 1,
      maxLength: 5,
    });
    fc.assert(
      fc.property(
        words,
        fc.array(spaces, { minLength: 6, maxLength: 6 }),
        (found, [around = '', ...between]) => {
          const sent = around + found.map((word, at) => word + (between[at] ?? ' ')).join('');
          for (const field of [nameField, titleField]) expect(field.parse(sent)).toBe(found.join(' '));
        },
      ),
    );
  });

  it('is trimmed of nothing else', () => {
    fc.assert(
      fc.property(textOf(fc.oneof(codePoint, blank, shown)), (text) => {
        expect(trimName(text).replaceAll(' ', '')).toBe(text.replaceAll(/\p{Zs}/gu, ''));
        expect(trimName(trimName(text))).toBe(trimName(text));
      }),
    );
  });

  it('counts with the length that was sent', () => {
    const fits = `${' '.repeat(limits.name - 1)}a`;
    expect(nameField.safeParse(fits).data).toBe('a');
    expect(nameField.safeParse(` ${fits}`).success).toBe(false);
    expect(nameField.safeParse(`a${'\u3000'.repeat(limits.name)}`).success).toBe(false);
    expect(titleField.safeParse(`${'👋'.repeat(limits.title)}`).success).toBe(true);
    expect(titleField.safeParse(`${'👋'.repeat(limits.title)} `).success).toBe(false);
  });

  it('may hold blanks, joiners and marks of direction beside something visible', () => {
    fc.assert(
      fc.property(textOf(blank), shown, textOf(blank), (before, character, after) => {
        expect(faultOfName(before + character + after)).toBeUndefined();
      }),
    );
  });

  it('contains no control character and no override of direction, in any text', () => {
    fc.assert(
      fc.property(textOf(codePoint), refused, textOf(codePoint), (before, character, after) => {
        expect(faultOfName(before + character + after)).toBeDefined();
      }),
    );
  });

  it('holds no lone surrogate', () => {
    expect(faultOfName('a\ud800b')).toMatch('surrogate');
    expect(faultOfName('a\udc00b')).toMatch('surrogate');
  });
});

it.each(['Ada', 'می\u200cخواهم', 'क्\u200dष', '👩\u200d👩\u200d👧', 'שלום\u200f!', ' x '])(
  'takes %j for a name',
  (name) => expect(faultOfName(name)).toBeUndefined(),
);

it.each([
  ...['e\u0301', 'नि', '\u20e3#', '1', '+', '®', '´', '¨', '𓀀', '한', '⠁', '👋🏽', '🇩🇪', '、', '“', '\ufffd'],
  ...['\ue000a', '\u0378!', '\u{e0020}ß', 'ﾠʰ'],
])('takes %j, which shows something', (name) => expect(faultOfName(name)).toBeUndefined());

it('counts code points, as the schemas do', () => {
  expect(['', 'a', '👋', 'e\u0301', '\ud83d', '\udc4b\ud83d', 'a👋b'].map(lengthOf)).toEqual([
    0, 1, 1, 2, 1, 2, 3,
  ]);
  fc.assert(
    fc.property(textOf(codePoint), fc.integer({ min: 0, max: 20 }), (text, maximum) => {
      expect(z.string().max(maximum).safeParse(text).success).toBe(lengthOf(text) <= maximum);
    }),
  );
});
