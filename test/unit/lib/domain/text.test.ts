import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { faultOfName, lengthOf, namePattern } from '#lib/domain/text.ts';

const codePoint = fc.string({ unit: 'binary', minLength: 1, maxLength: 1 });
/** Examples of each kind of invisible character. */
const blank = fc.constantFrom(
  ...' \u00a0\u1680\u2003\u202f\u205f\u3000', // blanks
  ...'\u200b\u2060\ufeff\u00ad\u034f\u180e\u{e0020}\ufe0f', // ignorable by default
  ...'\u115f\u1160\u3164\uffa0\u2800\u{1d159}\u{16fe4}', // fillers
  ...'\u200c\u200d\u200e\u200f\u061c', // joiners and marks of direction
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

  it('matches the documented pattern, which refuses common names without a visible character', () => {
    const pattern = new RegExp(namePattern, 'u');
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
      '\u200b',
      '\u2800\u3164',
      '\u{e0020}',
      'a\nb',
      'Ada\u202egnp',
      'a\u2028',
    ];
    for (const text of invalid) expect(text).not.toMatch(pattern);
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

it.each(['Ada', 'می\u200cخواهم', 'क्\u200dष', '👩\u200d👩\u200d👧', 'שלום\u200f!', '\u0301', ' x '])(
  'takes %j for a name',
  (name) => expect(faultOfName(name)).toBeUndefined(),
);

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
