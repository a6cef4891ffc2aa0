import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { alignedNormalText, normalText } from '#lib/opensearch/text/normal-text.ts';

/** Texts of all scripts, rich in what the rules look for. */
const pieces = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 5 }),
  fc.string({ unit: 'grapheme', maxLength: 5 }),
  fc.constantFrom(
    ':)',
    ' :p ',
    'c++',
    ' C#',
    '.NET',
    '"',
    "'",
    'ʼ',
    '\u200b',
    'XMLHttp',
    'צה"ל',
    'สวัสดี',
    '회',
    'ｶﾞ',
    'é',
  ),
);
const text = fc.array(pieces, { maxLength: 12 }).map((parts) => parts.join(''));

describe('normalText', () => {
  test('is the same for canonically equivalent texts', () => {
    fc.assert(
      fc.property(text, (written) => {
        expect(normalText(written.normalize('NFD'))).toBe(normalText(written.normalize('NFC')));
      }),
      { numRuns: 500 },
    );
  });

  test('is the same for compatible letters and digits, of any width and style', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[\p{L}\p{N}]{1,10}$/u), (written) => {
        expect(normalText(written.normalize('NFKC'))).toBe(normalText(written));
        expect(normalText(written.normalize('NFKD'))).toBe(normalText(written));
      }),
      { numRuns: 500 },
    );
  });

  test('is the same for letters that combine with letters', () => {
    for (const written of ['\u{16d68}', 'a\u{16d69}b', '\u{16d6a}\u{16d67}', '한글']) {
      expect(normalText(written.normalize('NFD'))).toBe(normalText(written));
    }
  });

  test('leaves out invisible characters', () => {
    fc.assert(
      fc.property(
        fc.stringMatching(/^[a-z]{1,10}$/),
        fc.constantFrom(
          ...'\u200b\u200c\u200d\u2060\ufeff\u00ad\u200e\u202e\u2066\ufe0f\u3164\u{e0041}\ufdd0',
        ),
        fc.nat(),
        (word, sign, at) => {
          const place = at % (word.length + 1);
          expect(normalText(word.slice(0, place) + sign + word.slice(place))).toBe(word);
        },
      ),
    );
  });

  test.each([..."'ʹʻʼʽ‘’‛′՚׳ꞌ＇´"])('takes %s for an apostrophe', (sign) => {
    expect(normalText(`п${sign}ять`)).toBe("п'ять");
  });

  test.each([...'"״“”„＂'])('takes %s inside a word for a part of it', (sign) => {
    expect(normalText(`ארה${sign}ב`)).toBe('ארה_ב');
  });

  test.each([
    ['leaves plain text alone', 'The quick brown fox: 3 < 4!', 'The quick brown fox: 3 < 4!'],
    ['faces stand alone', ':p std::pair :p', '😛 std::pair 😛'],
    ['names of signs stand alone', 'C# rfc#api c++ abc++', 'Csharp rfc#api cplusplus abc++'],
    ['quotes around words stay', '“one” "two" (“three”)', '“one” "two" (“three”)'],
    ['letters that are not accents stay', 'йод Їжак', 'йод Їжак'],
    ['half a surrogate pair is replaced', 'x\ud83d', 'x\ufffd'],
  ])('%s', (_what, written, expected) => {
    expect(normalText(written)).toBe(expected);
  });
});

describe('alignedNormalText', () => {
  test('is normalText, each place with its place in the original, in order', () => {
    fc.assert(
      fc.property(text, (written) => {
        const { text: normal, startOf, endOf } = alignedNormalText(written);
        expect(normal).toBe(normalText(written));
        for (let at = 0; at < normal.length; at += 1) {
          expect(startOf(at)).toBeGreaterThanOrEqual(at === 0 ? 0 : startOf(at - 1));
          expect(endOf(at + 1)).toBeGreaterThanOrEqual(startOf(at));
          expect(endOf(at + 1)).toBeLessThanOrEqual(written.length);
        }
      }),
      { numRuns: 300 },
    );
  });

  test('leads from the spelling of a word to the word as it was sent', () => {
    fc.assert(
      fc.property(
        text,
        fc.constantFrom('𝐒𝐚𝐥𝐞', 'ｶﾞﾗｽ', 'пʼять', 'prin\u200bter'),
        text,
        (before, word, after) => {
          const { text: normal, startOf, endOf } = alignedNormalText(`${before} ${word} ${after}`);
          const from = normalText(`${before} `).length;
          const to = from + normalText(word).length;
          fc.pre(normal.slice(from, to) === normalText(word));
          expect(`${before} ${word} ${after}`.slice(startOf(from), endOf(to))).toBe(word);
        },
      ),
      { numRuns: 300 },
    );
  });
});
