import { arabicStem } from '../text/fold.ts';
import { phoneDigits } from '../text/phone-numbers.ts';
import type { QueryText } from '../text/query-text.ts';
import { canBeMistyped, unspaced } from './message-query.ts';
import { foldedParts } from './parts.ts';

/** A word or phrase of a query, as the letters that a text must have in this order. Signs, case and accents do not count. */
export type Needle = {
  letters: string;
  /** Where the parts of the query end, counted in `letters`. Only there the text may have a space. */
  ends: ReadonlySet<number>;
  /** A phrase must end with a word; a word may be the beginning or the end of a longer one, or mistyped. */
  isPhrase: boolean;
  /** The digits of a phone number: the text may have spaces anywhere between them. */
  isPhone: boolean;
  canBeMistyped: boolean;
  stem: string | undefined;
  /** Counts only in a text that does not have this one. */
  insteadOf?: Needle;
};

const needleOf = (text: string, more: Partial<Needle> = {}): Needle => {
  const parts = foldedParts(text);
  const ends = new Set<number>();
  let end = 0;
  for (const part of parts) {
    end += part.length;
    ends.add(end);
  }
  const letters = parts.join('');
  return {
    letters,
    ends,
    isPhrase: false,
    isPhone: false,
    canBeMistyped: false,
    stem: /\p{Script=Arabic}/u.test(letters) ? arabicStem(letters) : undefined,
    ...more,
  };
};

const wordNeedles = (word: string): Needle[] => {
  const digits = phoneDigits(word);
  if (digits !== undefined) return [needleOf(word), { ...needleOf(digits), isPhone: true }];
  const whole = needleOf(word, { canBeMistyped: canBeMistyped(word) });
  // A message may have half of the pairs of a sentence without spaces.
  const signs = unspaced.test(word) && word.length >= 4 ? foldedParts(word) : [];
  const pairs = new Set(signs.slice(1).map((sign, at) => `${signs[at]}${sign}`));
  return [whole, ...[...pairs].map((pair) => needleOf(pair, { insteadOf: whole }))];
};

export const needlesOf = ({ words, phrases }: QueryText): Needle[] =>
  [
    ...words.flatMap(wordNeedles),
    ...phrases.flatMap((phrase) => {
      const whole = needleOf(phrase, { isPhrase: true });
      // The index may see an exact phrase where the letters differ.
      const words = new Set(phrase.split(/\s+/u));
      return [whole, ...[...words].map((word) => needleOf(word, { isPhrase: true, insteadOf: whole }))];
    }),
  ].filter(({ letters }) => letters !== '');
