import { phoneDigits } from '../text/phone-numbers.ts';
import type { QueryText } from '../text/query-text.ts';

/** A clause of the query language, as JSON. */
export type Clause = Record<string, unknown>;

/** The shortest word, in letters, in which one typo is allowed. In a shorter word a typo makes another word. */
const typoFrom = 5;

/** The same for the mistyped beginning of a longer word (`permisson` for `permissions`). */
const typoInBeginningFrom = 6;

/** Scripts that are written without spaces. */
export const unspaced = /[\p{Script=Han}\p{Script=Hiragana}]/u;

/**
 * The number of words, from the first, in which a typo is allowed. Looking up all terms one edit away is most of a
 * query's cost, and each word matters less in a long query.
 */
const maxForgiven = 6;

/** The longest phrase, in words, in which two words may be one in the message. */
const maxJoined = 8;

/** The factor of a word's weight, by the best form of the word in the message. */
const times = { written: 10, begun: 6, related: 4, loose: 2 };

/** Additions to the score of the words. They are whole numbers far below 2^24, so that sums of scores are exact. */
const bonus = {
  /** Ranks a message with every word above all others. It exceeds any sum of words, because their number is bounded. */
  allWords: 10_000,
  wholeQueryInOrder: 100,
  wholeQueryNear: 50,
  pairInOrder: 15,
  /** Of a phrase whose words are not joined otherwise than in the query. */
  phraseAsWritten: 100,
};

/**
 * The weight of a word. Longer words are rarer and say more, so the length replaces the rarity. In measurements it ranks
 * as well as real frequencies. Unlike those, it is the same on every copy of the index, and new messages do not change it
 * between two pages. A character of a script without spaces counts as two letters.
 */
const weight = (word: string) => {
  const length = [...word].length * (unspaced.test(word) ? 2 : 1);
  return Math.round(2 + 3 * Math.log(Math.min(length, 12)));
};

/**
 * The clause that finds and ranks. Every score in it is a constant, so a message's score depends only on its text and
 * the query.
 *
 * Messages with all words, in any form, come first. Then each word counts by its best form: as written, as a beginning,
 * mistyped. Among equal messages, those come first whose words follow each other as in the query, or are near each
 * other.
 */
export const rankedMatch = ({ words, phrases }: QueryText): Clause => {
  const pairs = words.slice(1).map((word, at) => [words[at] ?? '', word] as const);
  const forgiven = new Set(words.filter(canBeMistyped).slice(0, maxForgiven));
  const ranked = words.map((word, at) => ({
    weight: weight(word),
    forms: {
      written: [asWritten(word)],
      begun: [asBeginning(word), ...asPhoneNumber(word)],
      related: [...asEnd(word), ...asStem(word), ...(forgiven.has(word) ? asMistyped(word) : [])],
      loose: [
        ...(forgiven.has(word) ? asMistypedBeginning(word) : []),
        ...asHalf(word),
        // A word also matches if the message joins it with its neighbour: "dual boot" in "dualboot".
        ...[pairs[at - 1], pairs[at]].filter((pair) => pair !== undefined).map(asOne),
      ],
    },
  }));
  const whole = words.join(' ');
  return {
    bool: {
      filter: phrases.map(exactly),
      ...(words.length > 0 && { must: [either([...ranked.map(byForm), ...asSpacedNumber(words)])] }),
      should: [
        ...phrases
          .filter((text) => spellingsOf(text).length > 1)
          .map((text) => constant(either([asPhrase(text, 0), asJoinedPhrase(text)]), bonus.phraseAsWritten)),
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

const asJoinedPhrase = (query: string): Clause => ({ match_phrase: { 'body.joined': { query } } });

/**
 * A text in quotes: its words one after the other, each in any case, with or without hyphens, or joined with a neighbour
 * ("dual boot" in "dualboot"). `body.joined` has one position a word, `body` one a part of a word.
 */
const exactly = (text: string): Clause =>
  either([asPhrase(text, 0), ...spellingsOf(text).map(asJoinedPhrase), ...asPhoneNumber(text)]);

/** A phrase as it is in the query, then without hyphens, then with two neighbours joined. */
const spellingsOf = (text: string): string[] => {
  const spellings = [/\s+/u, /[\s\p{Pd}]+/u].flatMap((separator) => {
    const words = text.split(separator);
    const joined = words.length > maxJoined ? [] : words.slice(1).map((_, at) => joinAt(words, at));
    return [words.join(' '), ...joined];
  });
  return [...new Set(spellings)];
};

const joinAt = (words: readonly string[], at: number) =>
  [...words.slice(0, at), `${words[at]}${words[at + 1]}`, ...words.slice(at + 2)].join(' ');

/** The digits of a phone number, in whatever way it is written, or a beginning of seven digits or more. */
const asPhoneNumber = (text: string): Clause[] => {
  const digits = phoneDigits(text);
  return digits === undefined ? [] : [{ prefix: { numbers: { value: digits } } }];
};

/** A query of several words that is one phone number. */
const asSpacedNumber = (words: readonly string[]): Clause[] => {
  const digits = words.length > 1 ? phoneDigits(words.join(' ')) : undefined;
  if (digits === undefined) return [];
  return [asJoined(digits), ...asPhoneNumber(digits)].map((clause) => constant(clause, bonus.allWords));
};

const asJoined = (text: string): Clause => ({ match_phrase: { body: { query: text, analyzer: 'joined' } } });

const asOne = (pair: readonly [string, string]): Clause => asJoined(pair.join(''));

/** The whole word: its parts one after the other, or the same letters joined. */
const asWritten = (word: string): Clause => ({ dis_max: { queries: [asPhrase(word, 0), asJoined(word)] } });

const asBeginning = (word: string): Clause => ({
  match: { 'body.beginnings': { query: word, operator: 'and' } },
});

/** The last part of a compound: `strasse` in "Hauptstrasse". */
const asEnd = (word: string): Clause[] =>
  /^\p{L}{4,}$/u.test(word) ? [{ match: { 'body.ends': { query: word, operator: 'and' } } }] : [];

/** Arabic attaches articles, conjunctions and endings to the word. */
const asStem = (word: string): Clause[] =>
  /\p{Script=Arabic}/u.test(word) ? [{ match_phrase: { body: { query: word, analyzer: 'stemmed' } } }] : [];

/** In a script without spaces, a "word" may be a sentence. Half of its pairs of characters make a loose match. */
const asHalf = (word: string): Clause[] =>
  word.length >= 4 && unspaced.test(word)
    ? [{ match: { body: { query: word, minimum_should_match: '50%' } } }]
    : [];

const asMistyped = (word: string): Clause[] =>
  !canBeMistyped(word) ? [] : [{ match: { body: fuzzy(word, typoFrom, 'joined') } }];

const asMistypedBeginning = (word: string): Clause[] =>
  lettersIn(word) < typoInBeginningFrom
    ? []
    : [{ match: { 'body.beginnings': fuzzy(word, typoInBeginningFrom, 'edge') } }];

/** True for a word in which a typo is allowed. */
export const canBeMistyped = (word: string): boolean => lettersIn(word) >= typoFrom;

/** The longest run of letters. Numbers must match exactly, because one wrong digit makes another number. */
const lettersIn = (word: string) => Math.max(0, ...(word.match(/\p{L}+/gu) ?? []).map((run) => run.length));

const fuzzy = (word: string, from: number, analyzer: string) => ({
  query: word,
  analyzer,
  operator: 'and',
  fuzziness: `AUTO:${from},999`,
  // One clause for all terms one edit away. The default takes about 50 terms of the whole shard, each in its own clause.
  fuzzy_rewrite: 'constant_score',
});

const either = (clauses: Clause[]): Clause => ({ bool: { should: clauses, minimum_should_match: 1 } });

const constant = (filter: Clause, boost: number): Clause => ({ constant_score: { filter, boost } });
