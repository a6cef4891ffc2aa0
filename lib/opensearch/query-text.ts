import { emoticons } from './analysis.ts';

/** Upper bounds, so that no query text costs more than another by much. */
export const maxWords = 16;
export const maxPhrases = 4;

export type QueryText = {
  /** Words to be found, in any form; distinct, in the order they were written. */
  words: string[];
  /** Texts that stood in quotes: have to be found as they are. */
  phrases: string[];
};

const quoted = /"([^"]*)"|“([^”]*)”|„([^“”]*)[“”]|«([^»]*)»/gu;

/**
 * Takes a query apart: white space separates words, quotes make phrases, and nothing else has a meaning.
 * A quote that is never closed counts for nothing. What holds no letter, digit or emoji cannot be found and is
 * left out; so are words beyond {@link maxWords} and phrases beyond {@link maxPhrases}.
 */
export const parseQueryText = (text: string): QueryText => {
  const phrases: string[] = [];
  const rest = text.toWellFormed().replace(quoted, (_all, ...groups: unknown[]) => {
    const phrase = groups.find((group): group is string => typeof group === 'string');
    if (phrase !== undefined) phrases.push(phrase.trim());
    return ' ';
  });
  return {
    words: distinct(rest.split(/[\s"“”„«»\0]+/u)).slice(0, maxWords),
    phrases: distinct(phrases).slice(0, maxPhrases),
  };
};

const findable = (text: string) =>
  /[\p{L}\p{N}\p{Extended_Pictographic}\p{Regional_Indicator}]/u.test(text) || Object.hasOwn(emoticons, text);

const distinct = (texts: string[]) => [...new Set(texts)].filter(findable);
