import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createHighlighter } from '#lib/opensearch/search/highlights.ts';
import { normalText } from '#lib/opensearch/text/normal-text.ts';
import { parseQueryText } from '#lib/opensearch/text/query-text.ts';

const entities: Record<string, string> = {
  '&amp;': '&',
  '&lt;': '<',
  '&gt;': '>',
  '&quot;': '"',
  '&#x27;': "'",
  '&#x2F;': '/',
};
const textOf = (html: string) =>
  html.replaceAll(/<\/?em>/g, '').replaceAll(/&[a-zA-Z#0-9]+;/g, (entity) => entities[entity] ?? entity);

/** The fragments of a message as the index keeps it. */
const highlight = (query: string, sent: string): string[] => {
  const original = sent.toWellFormed();
  const body = normalText(original);
  return createHighlighter(parseQueryText(query))({ body, ...(body === original ? {} : { original }) });
};

const segmenter = new Intl.Segmenter('und', { granularity: 'grapheme' });
const bordersOf = (text: string) =>
  new Set([...segmenter.segment(text)].map(({ index }) => index).concat(text.length));

const placesOf = (part: string, whole: string): number[] => {
  const places: number[] = [];
  for (let at = whole.indexOf(part); at >= 0; at = whole.indexOf(part, at + 1)) places.push(at);
  return places;
};

/** Texts of all scripts, with signs that normalization changes and emoji of several characters. */
const piece = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 8 }),
  fc.string({ unit: 'binary', maxLength: 4 }),
  fc.constantFrom(
    ...[
      '<b>',
      '&amp;',
      'ｶﾞ',
      ':)',
      '\u200b',
      '👨‍👩‍👧‍👦',
      '👍🏽',
      '🇩🇪🇫🇷',
      '1️⃣',
      'é',
      'é',
      'C++',
      '™',
      'ไปตลาดสด',
      '予算',
      'क्षि',
    ],
    ...['needle', 'Needles', 'nee-dle', 'NEEDLE', 'neelde', 'hayneedle', '"', "'s", '\r\n', 'e\u0301'],
  ),
);
const text = fc.array(piece, { maxLength: 40 }).map((pieces) => pieces.join(' '));
const glued = fc.array(piece, { maxLength: 40 }).map((pieces) => pieces.join(''));
const query = fc
  .array(
    fc.oneof(
      piece,
      fc.constantFrom('needle', '"needle hay"', '👨', '👍', '🇩🇪', 'e', '1', 'ตลาด', '予', 'c++', 'क'),
    ),
    { minLength: 1, maxLength: 4 },
  )
  .map((pieces) => pieces.join(' '));

describe('highlights', () => {
  test('are parts of the message as it was sent, and no mark or cut splits a visible sign', () => {
    fc.assert(
      fc.property(fc.oneof(text, glued), query, (sent, wanted) => {
        const shown = sent.toWellFormed();
        const borders = bordersOf(shown);
        const fragments = highlight(wanted, sent);
        expect(fragments.length).toBeLessThanOrEqual(3);
        for (const html of fragments) {
          expect(html).toContain('<em>');
          expect(html.replaceAll(/<\/?em>/g, '')).not.toMatch(/[<>"'/]/);
          const plain = textOf(html);
          const places = placesOf(plain, shown);
          expect(places.length).toBeGreaterThan(0);
          const cuts = html.split(/<\/?em>/).map(textOf);
          // The same text may stand at several places; at one of them all marks are at borders.
          const fits = places.some((start) => {
            let at = start;
            return cuts.every((cut) => {
              const isBorder = borders.has(at) || at === start;
              at += cut.length;
              return isBorder;
            });
          });
          expect(fits).toBe(true);
        }
      }),
      { numRuns: 500 },
    );
  }, 60_000);

  test('mark a word wherever it stands', () => {
    fc.assert(
      fc.property(text, text, (before, after) => {
        const fragments = highlight('zebrafish', `${before} ZebraFish ${after}`);
        expect(fragments.join('')).toContain('<em>ZebraFish</em>');
      }),
    );
  });

  test('show where most matches are together, each fragment no longer than a line or two', () => {
    const body = `one needle ${'hay '.repeat(200)}needle and needle ${'hay '.repeat(200)}a needle`;
    const fragments = highlight('needle', body);
    expect(fragments).toHaveLength(3);
    expect(fragments[1]).toContain('<em>needle</em> and <em>needle</em>');
    for (const html of fragments) expect(textOf(html).length).toBeLessThanOrEqual(170);
  });

  test('show the fragments that have most of the query', () => {
    const body = `${'a needle and hay. '.repeat(100)} the blue printer ${'a needle and hay. '.repeat(100)}`;
    expect(highlight('needle "blue printer"', body).join()).toContain('<em>blue printer</em>');
    expect(highlight('needle printer', body).join()).toContain('<em>printer</em>');
  });

  test.each([
    ['Japanese', '予算', `${'来年度'.repeat(50)}予算${'を決める'.repeat(40)}`],
    ['Japanese behind a full stop', '予算', `${'来年度'.repeat(50)}。予算${'を決める'.repeat(40)}`],
    ['Chinese', '数据库', `${'请重启'.repeat(60)}数据库${'服务器'.repeat(60)}`],
    ['Thai', 'ตลาด', `${'ไปกับแม่'.repeat(40)}ตลาด${'สดตอนเช้า'.repeat(40)}`],
    ['a long address', 'needle', `https://example.org/${'hay'.repeat(90)}-needle-${'hay'.repeat(90)}`],
    ['emoji', '🎉', `${'👨‍👩‍👧‍👦'.repeat(60)}🎉${'👍🏽'.repeat(60)}`],
  ])('show the text around a match without spaces: %s', (_what, word, sent) => {
    const [fragment = ''] = highlight(word, sent);
    const [before = '', after = ''] = fragment.split(`<em>${word}</em>`);
    expect([...before].length).toBeGreaterThan(20);
    expect([...after].length).toBeGreaterThan(20);
    expect(textOf(fragment).length).toBeLessThanOrEqual(200);
  });

  test.each([
    ['the end of a compound', 'strasse', 'Hauptstraße 5', '<em>Hauptstraße</em> 5'],
    ['a mistyped beginning', 'permisson', 'no permissions', 'no <em>permissions</em>'],
    ['a part of a name', 'maxretries', 'set config.maxRetries=5', 'set config.<em>maxRetries</em>=5'],
    ['letters swapped', 'prinetr', 'the printers', 'the <em>printers</em>'],
    ['a word with a letter less', 'systems', 'the system here', 'the <em>system</em> here'],
    ['a mistyped compound', 'aptgte', 'run apt-get now', 'run <em>apt-get</em> now'],
    ['a version', '2.6.8', 'kernel 2.6.8 hangs', 'kernel <em>2.6.8</em> hangs'],
    ['a beginning of a version', '2.6.8', 'kernel 2.6.8.1-3 hangs', 'kernel <em>2.6.8</em>.1-3 hangs'],
    ['each half of a sentence', '重启数据库', '数据库要重启', '<em>数据库</em>要<em>重启</em>'],
    [
      'the words of a phrase, if its letters differ',
      '"two words"',
      'two xx words',
      '<em>two</em> xx <em>words</em>',
    ],
    [
      'the places on both sides of a NUL',
      'one',
      'one two\0one three',
      '<em>one</em> two\0<em>one</em> three',
    ],
  ])('mark %s', (_what, word, body, expected) => {
    expect(highlight(word, body)).toEqual([expected]);
  });

  test.each([
    ['nothing alike', 'strasse', 'a printer'],
    ['a longer word, for a phrase', '"print"', 'the printers'],
    ['one letter at the beginning of a word', 'p', 'the printers'],
  ])('mark nothing: %s', (_what, word, body) => {
    expect(highlight(word, body)).toEqual([]);
  });

  test.each([
    ['one word without end', '"a a a a"', 'a '.repeat(8_000)],
    ['a phrase that almost occurs', `"${'a '.repeat(97)}b"`, 'a '.repeat(8_000)],
    ['a phrase that almost occurs, from behind', `"b ${'a '.repeat(97)}"`, 'a '.repeat(8_000)],
    ['one sign without end', 'aaaaaaaa', 'a'.repeat(16_000)],
    ['pairs of a script without spaces', '本'.repeat(199), '本'.repeat(16_000)],
    ['emoji without end', '👍', '👨‍👩‍👧‍👦'.repeat(2_000)],
    ['many mistyped words', 'printer scanner monitor keyboard speaker', 'prnter-scnner '.repeat(1_100)],
    ['quotes without end', `'${'a '.repeat(97)}`, "'a ".repeat(5_000)],
  ])('are found in a moment: %s', (_what, wanted, body) => {
    highlight(wanted, body);
    const before = process.cpuUsage();
    highlight(wanted, body);
    const { user, system } = process.cpuUsage(before);
    // A page has a hundred such messages. An idle core needs a few milliseconds for one.
    expect((user + system) / 1000).toBeLessThan(150);
  });
});
