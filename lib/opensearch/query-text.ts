import { normalText, spacedLetter } from './normal-text.ts';

/** Upper bounds, so that no query text costs more than another by much. */
export const maxWords = 16;
export const maxPhrases = 4;

export type QueryText = {
  /** Words to be found, in any form; distinct, in the order they were written. */
  words: string[];
  /** Texts that stood in quotes, to be found as they are. */
  phrases: string[];
};

/** A letter or digit before which, or behind which, a quote belongs to the word. */
const inWord = `[${spacedLetter}\\p{N}]`;
const quoted = new RegExp(
  `(?<!${inWord})"([^"]*)"(?!${inWord})|“([^”]*)”|„([^“”]*)[“”]|«([^»]*)»|»([^«]*)«`,
  'gv',
);

/**
 * Takes a query apart: white space separates words, quotes make phrases, and nothing else has a meaning.
 * A quote that is never closed counts for nothing. Words without a letter, digit or emoji cannot be found and are
 * left out, as are words beyond {@link maxWords} and phrases beyond {@link maxPhrases}.
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
