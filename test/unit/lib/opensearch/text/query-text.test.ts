import { describe, expect, test } from 'vitest';
import { rankedMatch } from '#lib/opensearch/search/message-query.ts';
import { maxPhrases, maxWords, parseQueryText } from '#lib/opensearch/text/query-text.ts';

describe('parseQueryText', () => {
  test.each([
    ['white space separates words', '  apt-get\tupdate\n', ['apt-get', 'update'], []],
    [
      'quotes make phrases, in each way to write them',
      'a "b c" “d” „e f“ «g»',
      ['a'],
      ['b c', 'd', 'e f', 'g'],
    ],
    ['a quote that is never closed counts for nothing', 'say "hello world', ['say', 'hello', 'world'], []],
    ['query syntax has no meaning', 'a* OR (b) ~c', ['a*', 'OR', '(b)', '~c'], []],
    ['what holds nothing to be found is left out', '- ? "!!" * NUL\0', ['NUL'], []],
    ['emoji and emoticons can be found', '👍 :) ❤️ 🇩🇪', ['👍', '🙂', '❤', '🇩🇪'], []],
    ['a quote inside a word opens no phrase', 'צה"ל ארה״ב don"t', ['צה_ל', 'ארה_ב', 'don_t'], []],
    ['a quote behind a digit opens no phrase', '5" disk 3" disk', ['5', 'disk', '3'], []],
    ['a phrase may hold quotes inside words', '"צה"ל חתמו"', [], ['צה_ל חתמו']],
    ['scripts without spaces have phrases beside words', '他说"你好"了', ['他说', '了'], ['你好']],
    ['each word once', 'no no no', ['no'], []],
    ['half a surrogate pair does not matter', 'x\ud83d y', ['x\ufffd', 'y'], []],
  ])('%s', (_what, text, words, phrases) => {
    expect(parseQueryText(text)).toEqual({ words, phrases });
  });

  test('words and phrases are bounded', () => {
    const many = Array.from({ length: 100 }, (_, index) => `w${index} "p ${index}"`).join(' ');
    const { words, phrases } = parseQueryText(many);
    expect([words.length, phrases.length]).toEqual([maxWords, maxPhrases]);
  });
});

describe('rankedMatch', () => {
  /** Clauses that the server counts against its limit of 1024. */
  const leaves = (clause: unknown): number => {
    if (Array.isArray(clause)) return clause.reduce<number>((sum, each) => sum + leaves(each), 0);
    if (typeof clause !== 'object' || clause === null) return 0;
    return Object.entries(clause).reduce(
      (sum, [key, value]) => sum + (key === 'match' || key === 'match_phrase' ? 1 : leaves(value)),
      0,
    );
  };

  test('the longest query stays far below the number of clauses the server takes', () => {
    const words = Array.from({ length: maxWords }, (_, index) => `كتابات${'abcdefgh'[index % 8]}`);
    expect(leaves(rankedMatch({ words, phrases: ['a b', 'c d', 'e f', 'g h'] }))).toBeLessThan(400);
  });
});
