import type { QueryText } from './query-text.ts';

/** A clause of the query language, as JSON. */
export type Clause = Record<string, unknown>;

/** Shortest word, in letters, in which one typo is forgiven: in shorter ones it makes another word. */
const typoFrom = 5;

/** The same for a mistyped word of which more may follow (`permisson` for `permissions`). */
const typoInBeginningFrom = 6;

/** Scripts that are written without spaces. */
const unspaced = /[\p{Script=Han}\p{Script=Hiragana}]/u;

/**
 * How many words of a query are forgiven a typo, the first ones: looking for all terms one edit away is most of what
 * a query costs, and the more words there are, the less one of them matters.
 */
const maxForgiven = 6;

/** How many times a word's weight a message gets, by the best form the word has there. */
const times = { written: 10, begun: 6, related: 4, loose: 2 };

/** What a message gets on top of its words. Whole numbers, far below 2^24: sums of scores are exact. */
const bonus = {
  /** Lifts a message that has every word over any that has not: words are bounded, and so is what they give. */
  allWords: 10_000,
  wholeQueryInOrder: 100,
  wholeQueryNear: 50,
  pairInOrder: 15,
};

/**
 * What a word is worth. Longer words are rarer and say more, so length stands in for rarity: measured, it ranks as
 * well as real frequencies do, and unlike those it is the same on every copy of the index and from one page to the
 * next, whatever is written meanwhile. A sign of a script without spaces counts for two letters.
 */
const weight = (word: string) => {
  const length = [...word].length * (unspaced.test(word) ? 2 : 1);
  return Math.round(2 + 3 * Math.log(Math.min(length, 12)));
};

/**
 * The clause that finds and ranks. Every score in it is a constant, so that a message's score depends on nothing but
 * its text and the query.
 *
 * A message that has all words, in any form, comes before all that have not. Then each word counts by the best form
 * it has: as written, as a beginning, mistyped. Words that follow each other as in the query, or are near each
 * other, order those that are equal so far.
 */
export const rankedMatch = ({ words, phrases }: QueryText): Clause => {
  const pairs = words.slice(1).map((word, at) => [words[at] ?? '', word] as const);
  const forgiven = new Set(words.filter((word) => lettersIn(word) >= typoFrom).slice(0, maxForgiven));
  const ranked = words.map((word, at) => ({
    weight: weight(word),
    forms: {
      written: [asWritten(word)],
      begun: [asBeginning(word)],
      related: [...asEnd(word), ...asStem(word), ...(forgiven.has(word) ? asMistyped(word) : [])],
      loose: [
        ...(forgiven.has(word) ? asMistypedBeginning(word) : []),
        ...asHalf(word),
        // A word is also there when it is written as one with its neighbour: "dual boot" in "dualboot".
        ...[pairs[at - 1], pairs[at]].filter((pair) => pair !== undefined).map(asOne),
      ],
    },
  }));
  const whole = words.join(' ');
  return {
    bool: {
      filter: phrases.map((text) => asPhrase(text, 0)),
      ...(words.length > 0 && { must: [either(ranked.map(byForm))] }),
      should: [
        ...pairs.map((pair) =>
          constant(either([asPhrase(pair.join(' '), 0), asOne(pair)]), bonus.pairInOrder),
        ),
        ...(words.length > 1
          ? [
              constant({ bool: { must: ranked.map(({ forms }) => inAnyForm(forms)) } }, bonus.allWords),
              constant(asPhrase(whole, 0), bonus.wholeQueryInOrder),
              constant(asPhrase(whole, words.length + 4), bonus.wholeQueryNear),
            ]
          : []),
      ],
    },
  };
};

/** What to mark in a message that was found: words of `body`, which keeps where they stand. */
export const markable = ({ words, phrases }: QueryText): Clause =>
  either([
    ...phrases.map((text) => asPhrase(text, 0)),
    ...words.flatMap((word) => [
      asWritten(word),
      // Without spaces there is no telling where the word ends that begins so.
      ...(unspaced.test(word) ? [] : [{ match_bool_prefix: { body: { query: word, analyzer: 'edge' } } }]),
      ...asStem(word),
      ...asMistyped(word),
      ...asHalf(word),
    ]),
  ]);

type Form = keyof typeof times;
type Forms = Record<Form, Clause[]>;
const formsInOrder: Form[] = ['written', 'begun', 'related', 'loose'];

const byForm = ({ weight, forms }: { weight: number; forms: Forms }): Clause => ({
  dis_max: {
    queries: formsInOrder.flatMap((form) =>
      forms[form].map((clause) => constant(clause, weight * times[form])),
    ),
  },
});

const inAnyForm = (forms: Forms): Clause => either(formsInOrder.flatMap((form) => forms[form]));

const asPhrase = (text: string, slop: number): Clause => ({ match_phrase: { body: { query: text, slop } } });

const asJoined = (text: string): Clause => ({ match_phrase: { body: { query: text, analyzer: 'joined' } } });

const asOne = (pair: readonly [string, string]): Clause => asJoined(pair.join(''));

/** The word whole: its parts one after the other, or the same letters written as one. */
const asWritten = (word: string): Clause => ({ dis_max: { queries: [asPhrase(word, 0), asJoined(word)] } });

const asBeginning = (word: string): Clause => ({
  match: { 'body.beginnings': { query: word, operator: 'and' } },
});

/** The last part of a compound: `strasse` in "Hauptstrasse". */
const asEnd = (word: string): Clause[] =>
  /^\p{L}{4,}$/u.test(word) ? [{ match: { 'body.ends': { query: word, operator: 'and' } } }] : [];

/** Arabic writes article, conjunctions and endings with the word. */
const asStem = (word: string): Clause[] =>
  /\p{Script=Arabic}/u.test(word) ? [{ match_phrase: { body: { query: word, analyzer: 'stemmed' } } }] : [];

/** Written without spaces, a "word" may be a sentence: half of its pairs of signs make a loose match. */
const asHalf = (word: string): Clause[] =>
  word.length >= 4 && unspaced.test(word)
    ? [{ match: { body: { query: word, minimum_should_match: '50%' } } }]
    : [];

const asMistyped = (word: string): Clause[] =>
  lettersIn(word) < typoFrom ? [] : [{ match: { body: fuzzy(word, typoFrom, 'joined') } }];

const asMistypedBeginning = (word: string): Clause[] =>
  lettersIn(word) < typoInBeginningFrom
    ? []
    : [{ match: { 'body.beginnings': fuzzy(word, typoInBeginningFrom, 'edge') } }];

/** The longest run of letters. Numbers alone are forgiven nothing: one wrong digit is another number, not a slip. */
const lettersIn = (word: string) => Math.max(0, ...(word.match(/\p{L}+/gu) ?? []).map((run) => run.length));

const fuzzy = (word: string, from: number, analyzer: string) => ({
  query: word,
  analyzer,
  operator: 'and',
  fuzziness: `AUTO:${from},999`,
  // All terms one edit away, as one clause: the default takes some 50 of the whole shard, each a clause of its own.
  fuzzy_rewrite: 'constant_score',
});

const either = (clauses: Clause[]): Clause => ({ bool: { should: clauses, minimum_should_match: 1 } });

const constant = (filter: Clause, boost: number): Clause => ({ constant_score: { filter, boost } });
