import { digitsOf } from './fold.ts';

/** The lengths of numbers that people look up by their digits: E.164 allows up to 15. */
const minDigits = 7;
const maxDigits = 15;

/** The most entries of a message. A table of numbers would fill the index with sums of its columns. */
const maxEntries = 64;

/** Groups of digits with the signs that people write between them: "+49 (170) 123-4567", "030/12 34 56 7". */
const grouped = /\+?\p{Nd}+(?:[ ()./\p{Pd}]{1,4}\p{Nd}+)+/gu;
const wanted = /^[+(]{0,2}\p{Nd}[\p{Nd} ()./\p{Pd}]*$/u;

/** The zero for calls within a country, which "+49 (0)170" contains and most writers leave out. */
const trunkZero = /\(0\)/g;

const withoutZeros = (digits: string) => digits.replace(/^0+/, '');

/**
 * The digits of a message's phone numbers, each from every group on, so that "+49 (170) 123-4567" is found by
 * `491701234567`, `1701234567` and `01701234567`.
 * @param text in the normalized spelling of `normal-text.ts`
 */
export const phoneNumbers = (text: string): string[] => {
  const found = new Set<string>();
  for (const [number] of text.matchAll(grouped)) {
    const groups = number.replace(trunkZero, ' ').match(/\p{Nd}+/gu) ?? [];
    for (const first of groups.slice(0, -1).keys()) {
      let digits = '';
      for (const group of groups.slice(first)) {
        if (digits.length >= maxDigits) break;
        digits += digitsOf(group);
      }
      const entry = withoutZeros(digits).slice(0, maxDigits);
      if (entry.length >= minDigits) found.add(entry);
      if (found.size >= maxEntries) return [...found];
    }
  }
  return [...found];
};

/** The digits of a phone number in a query, as {@link phoneNumbers} begins an entry; undefined if it is none. */
export const phoneDigits = (text: string): string | undefined => {
  if (!wanted.test(text)) return undefined;
  const digits = withoutZeros(digitsOf(text.replace(trunkZero, ' ')));
  return digits.length >= minDigits && digits.length <= maxDigits ? digits : undefined;
};
