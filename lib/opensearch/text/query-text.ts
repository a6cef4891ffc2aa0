import { normalText, spacedLetter } from './normal-text.ts';

/** Upper bounds that limit the cost of a query. */
export const maxWords = 16;
export const maxPhrases = 4;

export type QueryText = {
  /** The distinct words to find in any form, in the order of the query. */
  words: string[];
  /** The texts in quotes, to find as they are. */
  phrases: string[];
};

/** A letter or digit. A quote beside it belongs to the word. */
const inWord = `[${spacedLetter}\\p{N}]`;

/** Double quotes of all keyboards. Any two of them make a pair, as in Swedish, Polish and German. */
const double = '"\u201c\u201d\u201e\u201f\u301d\u301e\u301f\u275d\u275e\u05f4';

/** Single quotes, after apostrophes have become one character. */
const single = "'\u201a\u275b\u275c`";

/** A letter or sign between single quotes. An apostrophe inside a word belongs to it. */
const betweenSingle = `(?:[^${single}]|[${single}](?=${inWord}))`;

const quotes = [
  // Opening and closing quotes that differ.
  '\u201c([^\u201c\u201d]*)\u201d',
  '\u201e([^\u201c\u201d\u201e]*)[\u201c\u201d]',
  '«([^«»]*)»',
  '»([^«»]*)«',
  '‹([^‹›]*)›',
  '›([^‹›]*)‹',
  '「([^「」]*)」',
  '『([^『』]*)』',
  `(?<!${inWord})[${double}]([^${double}]*)[${double}](?!${inWord})`,
  // Quotes that turn the same way, as in Finnish.
  '«([^«»]*)«',
  '»([^«»]*)»',
  // One word in single quotes is a word, because pasted messages of programs contain many.
  `(?<![^\\s\\(\\[])[${single}](?=\\S)(${betweenSingle}*\\s${betweenSingle}*)(?<=\\S)[${single}](?!${inWord})`,
];
const quoted = new RegExp(quotes.join('|'), 'gv');
const separators = new RegExp(`[\\s${double}«»‹›「」『』\\0]+`, 'v');

/** Two single quotes or commas in the place of one double quote, as typewriters and TeX have them. */
const typewritten = /''|``|(?<!\S),,(?=\S)/g;

/**
 * Splits a query: white space separates words, quotes make phrases, and no other character has a meaning. An unclosed
 * quote is ignored. Words without a letter, digit or emoji cannot be found, so they are left out. So are words beyond
 * {@link maxWords} and phrases beyond {@link maxPhrases}.
 */
export const parseQueryText = (text: string): QueryText => {
  const phrases: string[] = [];
  const rest = normalText(text)
    .replace(typewritten, '"')
    .replace(quoted, (_all, ...groups: unknown[]) => {
      const phrase = groups
        .slice(0, quotes.length)
        .find((group): group is string => typeof group === 'string');
      if (phrase !== undefined) phrases.push(phrase.trim());
      return ' ';
    });
  return {
    words: distinct(rest.split(separators)).slice(0, maxWords),
    phrases: distinct(phrases).slice(0, maxPhrases),
  };
};

const findable = (text: string) => /[\p{L}\p{N}\p{Extended_Pictographic}\p{Regional_Indicator}]/u.test(text);

const distinct = (texts: string[]) => [...new Set(texts)].filter(findable);
