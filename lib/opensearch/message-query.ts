import type { QueryText } from './query-text.ts';

/** A clause of the query language, as JSON. */
export type Clause = Record<string, unknown>;

/** Shortest word, in characters, in which one typo is forgiven: in shorter ones it makes another word. */
const typoFrom = 5;

/** How many words of the index one mistyped word may stand for. */
const typoExpansions = 50;

/** Lifts a message that has every word over any that has not: more than all other scores can add up to. */
const allWordsScore = 1000;

/**
 * The clause that finds and ranks. Similarity on the index is idf alone (see `message-index-body.ts`), so for each
 * word a message scores: 1 when it is there in any form, more when a word begins with it, and more again when it
 * is there as written; rarer words more than common ones. Every word together lifts a message to the top,
 * the words one after the other, or near each other, lift it among those.
 */
export const rankedMatch = ({ words, phrases }: QueryText): Clause => {
  const anyForm = words.map((word) => either([asWritten(word), asBeginning(word), ...asMistyped(word)]));
  const inOrder = words.join(' ');
  return {
    bool: {
      filter: [...phrases.map((text) => asPhrase(text, 0)), ...(words.length > 0 ? [either(anyForm)] : [])],
      should: [
        ...anyForm.map((clause) => constant(clause, 1)),
        ...words.flatMap((word) => [asWritten(word), asBeginning(word)]),
        ...(words.length > 1
          ? [
              constant({ bool: { must: anyForm } }, allWordsScore),
              constant(asPhrase(inOrder, 0), 20),
              constant(asPhrase(inOrder, words.length + 4), 10),
            ]
          : []),
      ],
    },
  };
};

/** What to mark in a message that was found: the same forms, as clauses on the field whose text is shown. */
export const markedMatch = ({ words, phrases }: QueryText): Clause =>
  either([
    ...phrases.map((text) => asPhrase(text, 0)),
    ...words.flatMap((word) => [
      asWritten(word),
      { match_bool_prefix: { body: { query: word, analyzer: 'begun' } } },
      ...asMistyped(word),
    ]),
  ]);

const asPhrase = (text: string, slop: number): Clause => ({ match_phrase: { body: { query: text, slop } } });

/** The word whole: its parts one after the other, or the same letters written as one. */
const asWritten = (word: string): Clause => ({
  dis_max: { queries: [asPhrase(word, 0), { match_phrase: { body: { query: word, analyzer: 'joined' } } }] },
});

const asBeginning = (word: string): Clause => ({
  match: { 'body.beginnings': { query: word, operator: 'and' } },
});

const asMistyped = (word: string): Clause[] => {
  // Written without spaces, a "word" may be a sentence: half of its pairs of signs make a loose match.
  if (/[\p{Script=Han}\p{Script=Hiragana}]{4}/u.test(word)) {
    return [{ match: { body: { query: word, minimum_should_match: '50%' } } }];
  }
  // One wrong digit is another number, not a slip.
  if (/\p{N}/u.test(word) || !new RegExp(`\\p{L}{${typoFrom}}`, 'u').test(word)) return [];
  return [
    {
      match: {
        body: {
          query: word,
          analyzer: 'joined',
          operator: 'and',
          fuzziness: `AUTO:${typoFrom},999`,
          max_expansions: typoExpansions,
        },
      },
    },
  ];
};

const either = (clauses: Clause[]): Clause => ({ bool: { should: clauses, minimum_should_match: 1 } });

const constant = (filter: Clause, boost: number): Clause => ({ constant_score: { filter, boost } });
