import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { htmlFragments, marks } from '#lib/opensearch/search/highlights.ts';
import { normalText } from '#lib/opensearch/text/normal-text.ts';

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

/** The answer of the server: the text with each occurrence of the word marked. */
const mark = (body: string, word: string) => body.replaceAll(word, `${marks.start}${word}${marks.end}`);

describe('highlights', () => {
  test('are parts of the message as it was sent, for any text', () => {
    const filler = fc.array(
      fc.oneof(fc.string({ unit: 'grapheme' }), fc.constantFrom('<b>', '&amp;', 'ｶﾞ', ':)', '\u200b')),
    );
    fc.assert(
      fc.property(fc.array(filler, { minLength: 2, maxLength: 30 }), (parts) => {
        const sent = parts.map((part) => part.join(' ')).join(' needle ');
        const body = normalText(sent);
        const original = body === sent ? undefined : sent.toWellFormed();
        const fragments = htmlFragments([mark(body, 'needle')], { words: [], body, original });
        expect(fragments.length).toBeGreaterThan(0);
        expect(fragments.length).toBeLessThanOrEqual(3);
        for (const html of fragments) {
          expect(sent.toWellFormed()).toContain(textOf(html));
          expect(html).toContain('<em>');
          expect(html.replaceAll(/<\/?em>/g, '')).not.toMatch(/[<>"'/]/);
        }
      }),
    );
  });

  test('show where most matches are together, each fragment no longer than a line or two', () => {
    const body = `one needle ${'hay '.repeat(200)}needle and needle ${'hay '.repeat(200)}a needle`;
    const fragments = htmlFragments([mark(body, 'needle')], { words: [], body });
    expect(fragments).toHaveLength(3);
    expect(fragments[1]).toContain('<em>needle</em> and <em>needle</em>');
    for (const html of fragments) expect(textOf(html).length).toBeLessThanOrEqual(170);
  });

  test.each([
    ['the end of a compound', 'strasse', 'Hauptstraße 5', '<em>Hauptstraße</em> 5'],
    ['a mistyped beginning', 'permisson', 'no permissions', 'no <em>permissions</em>'],
    ['a part of a name', 'maxretries', 'set config.maxRetries=5', 'set <em>config.maxRetries</em>=5'],
    ['letters swapped', 'prinetr', 'the printers', 'the <em>printers</em>'],
    ['nothing that is alike', 'strasse', 'a printer', undefined],
  ])('where the server marked nothing, show %s', (_what, word, body, expected) => {
    expect(htmlFragments([], { words: [word], body })).toEqual(expected === undefined ? [] : [expected]);
  });

  test('mark a version number as one', () => {
    const body = 'kernel 2.6.8 hangs';
    const marked = `kernel ${['2', '6', '8'].map((part) => `${marks.start}${part}${marks.end}`).join('.')} hangs`;
    expect(htmlFragments([marked], { words: [], body })).toEqual(['kernel <em>2.6.8</em> hangs']);
  });

  test('stand in their places where a NUL parts the text', () => {
    const body = 'one two\0one three';
    const marked = [`${mark('one', 'one')} two`, `${mark('one', 'one')} three`];
    expect(htmlFragments(marked, { words: [], body })).toEqual(['<em>one</em> two\0<em>one</em> three']);
  });
});
