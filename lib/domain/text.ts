/** The length in Unicode code points, which JSON Schema's `maxLength` and all limits count. */
export const lengthOf = (text: string): number => {
  let length = 0;
  for (const _character of text) length += 1;
  return length;
};

/**
 * Characters without a glyph: blanks, control and format characters, characters that fonts leave out by default, and
 * symbols for a blank (a Braille cell without dots, a note without a head, a Khitan filler).
 */
const invisible =
  /[\p{White_Space}\p{Z}\p{Cc}\p{Cf}\p{Default_Ignorable_Code_Point}\p{Noncharacter_Code_Point}\u2800\u{1D159}\u{16FE4}]/u;

/** Characters that break a line, or change the direction of the text around a name. */
const refusedInNames = /[\p{Cc}\p{Zl}\p{Zp}\u202A-\u202E\u2066-\u2069]/u;

const refused = '\\u0000-\\u001F\\u007F-\\u009F\\u2028\\u2029\\u202A-\\u202E\\u2066-\\u2069';
const tagCharacters = `${String.fromCodePoint(0xe0000)}-${String.fromCodePoint(0xe0fff)}`;
const blank = `\\s\\u00AD\\u034F\\u0600-\\u0605\\u061C\\u06DD\\u115F\\u1160\\u17B4\\u17B5\\u180B-\\u180F\\u200B-\\u200F\\u2060-\\u206F\\u2800\\u3164\\uFDD0-\\uFDEF\\uFE00-\\uFE0F\\uFEFF\\uFFA0\\uFFF0-\\uFFFB\\uFFFE\\uFFFF${tagCharacters}`;

/**
 * The rule for names in the OpenAPI document: a regular expression without `\p`, for dialects that read code
 * points (JavaScript: flag `u`, as JSON Schema recommends). It matches each valid name. It refuses most names without a visible character; `faultOfName` refuses all of them.
 */
export const namePattern = `^[^${refused}]*[^${refused}${blank}][^${refused}]*$`;

/** Whether the text has a visible character. */
const isVisible = (text: string): boolean => {
  for (const character of text) if (!invisible.test(character)) return true;
  return false;
};

/** @returns the fault of an invalid name or title; undefined for a valid one. Does not check the length. */
export const faultOfName = (text: string): string | undefined => {
  // A lone surrogate has no UTF-8 form, so it could not be returned as it was sent.
  if (!text.isWellFormed()) return 'Must be well-formed Unicode (no lone surrogate)';
  if (refusedInNames.test(text)) return 'Must not contain control characters or direction overrides';
  return isVisible(text) ? undefined : 'Must contain something visible';
};
