/** The length in Unicode code points, which JSON Schema's `maxLength` and all limits count. */
export const lengthOf = (text: string): number => {
  let length = 0;
  for (const _character of text) length += 1;
  return length;
};

/**
 * Characters that show something of their own. A mark needs a letter, and private use and unassigned characters have no
 * agreed glyph.
 */
const shown = /[\p{L}\p{N}\p{P}\p{S}]/u;

/**
 * Of those, the ones that stand for a blank: Hangul fillers and others that fonts leave out by default, a Braille cell
 * without dots, a note without a head, blank hieroglyphs, and the place of an embedded object.
 */
const blank = /[\p{Default_Ignorable_Code_Point}\u2800\u{1D159}\u{13441}\u{13442}\uFFFC]/u;

/** Characters that break a line, or change the direction of the text around a name. */
const refusedInNames = /[\p{Cc}\p{Zl}\p{Zp}\u202A-\u202E\u2066-\u2069]/u;

const control = '\\x00-\\x1F\\x7F-\\x9F';

/**
 * The rule for names in the OpenAPI document, as far as every reader of regular expressions understands it in the same way.
 * Generators copy it into sources, so it has no line separator, no direction character and none beyond U+FFFF. It matches
 * each valid name, and refuses control characters and blank names. `faultOfName` has the whole rule.
 */
export const namePattern = `^[^${control}]*[^\\s${control}\\xAD][^${control}]*$`;

/** Whether the text has a visible character. */
export const isVisible = (text: string): boolean => {
  for (const character of text) if (shown.test(character) && !blank.test(character)) return true;
  return false;
};

/** Removes spaces (category Zs) around a name, and makes each run of them inside one space. */
export const trimName = (text: string): string => text.replaceAll(/\p{Zs}+/gu, ' ').replaceAll(/^ | $/g, '');

/** @returns the fault of an invalid name or title; undefined for a valid one. Does not check the length. */
export const faultOfName = (text: string): string | undefined => {
  // A lone surrogate has no UTF-8 form, so it could not be returned as it was sent.
  if (!text.isWellFormed()) return 'Must be well-formed Unicode (no lone surrogate)';
  if (refusedInNames.test(text)) return 'Must not contain control characters or direction overrides';
  return isVisible(text) ? undefined : 'Must contain something visible';
};
