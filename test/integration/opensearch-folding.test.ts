import { Client } from '@opensearch-project/opensearch';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { createMessageIndex } from '#lib/opensearch/index/message-index.ts';
import { arabicStem, fold } from '#lib/opensearch/text/fold.ts';
import { normalText } from '#lib/opensearch/text/normal-text.ts';

/* Highlights fold words in the function, and the index in the server. Both must write a word alike. */

const client = new Client({ node: inject('urls').OPENSEARCH_URL ?? '' });
const prefix = `${inject('names').indexPrefix}fold-`;

beforeAll(() => createMessageIndex({ client, prefix }).prepare());
afterAll(async () => {
  await client.indices.delete({ index: `${prefix}*` });
  await client.close();
});

/** The server's form of each word, which must be one word for the tokenizer. */
const analyze = async (analyzer: string, words: readonly string[]): Promise<string[]> => {
  const { body } = await client.indices.analyze({
    index: `${prefix}messages`,
    body: { analyzer, text: words.join('\n') },
  });
  return (body.tokens ?? []).map(({ token }) => token);
};

const lettersOf = (pattern: RegExp, upTo: number) =>
  Array.from({ length: upTo }, (_, code) => String.fromCodePoint(code)).filter((sign) => pattern.test(sign));

/** Signs of phonetics that the server leaves with their accents. */
const unlike = /[Ǯǯ]/u;

test.each([
  ['Latin', /[\u0041-\u024f]/u, 0x250],
  ['Vietnamese and medieval Latin', /[\u1e00-\u1eff]/u, 0x1f00],
  ['Greek', /[\u0370-\u03ff]/u, 0x400],
  ['Cyrillic', /[\u0400-\u04ff]/u, 0x500],
  ['Hebrew, Armenian and Georgian', /[\u0530-\u05ea\u10a0-\u10ff]/u, 0x1100],
  ['Arabic', /[\u0621-\u064a\u0671-\u06d3]/u, 0x6d4],
  ['Devanagari', /[\u0904-\u0939]/u, 0x93a],
  ['digits', /\p{Nd}/u, 0x1100],
])('the function folds as the server does: %s', async (_script, pattern, upTo) => {
  // The letter in the middle, so that a final form or a mark stays in the word.
  const words = lettersOf(pattern, upTo)
    .map((letter) => normalText(`x${letter}x`))
    .filter((word) => /^[\p{L}\p{Nd}]{3,}$/u.test(word) && !unlike.test(word));
  const server = await analyze('edge', words);
  expect(server).toHaveLength(words.length);
  expect(words.map(fold)).toEqual(server.map((word) => word.toLowerCase()));
});

test('the function finds the stems of Arabic words as the server does', async () => {
  const words =
    'الكتاب والكتاب بالكتاب كالكتاب فالكتاب للكتاب وكتاب كتابها كتابان كاتبات معلمون معلمين مدرسة مدرسي من ال'
      .split(' ')
      .map(normalText);
  expect(words.map((word) => arabicStem(fold(word)))).toEqual(await analyze('stemmed', words));
});
