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
const quoted = new RegExp(
  `(?<!${inWord})"([^"]*)"(?!${inWord})|“([^”]*)”|„([^“”]*)[“”]|«([^»]*)»|»([^«]*)«`,
  'gv',
);

/**
 * Splits a query: white space separates words, quotes make phrases, and no other character has a meaning. An unclosed
 * quote is ignored. Words without a letter, digit or emoji cannot be found, so they are left out. So are words beyond
 * {@link maxWords} and phrases beyond {@link maxPhrases}.
 */
export const parseQueryText = (text: string): QueryText => {
  const phrases: string[] = [];
  const rest = normalText(text).replace(quoted, (_all, ...groups: unknown[]) => {
    const phrase = groups.slice(0, 5).find((group): group is string => typeof group === 'string');
    if (phrase !== undefined) phrases.push(phrase.trim());
    return ' ';
  });
  return {
    words: distinct(rest.split(/[\s"“”„«»\0]+/u)).slice(0, maxWords),
    phrases: distinct(phrases).slice(0, maxPhrases),
  };
};

const findable = (text: string) => /[\p{L}\p{N}\p{Extended_Pictographic}\p{Regional_Indicator}]/u.test(text);

const distinct = (texts: string[]) => [...new Set(texts)].filter(findable);
