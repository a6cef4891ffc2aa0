/**
 * The one spelling that search compares. Messages before they are indexed and queries before they are taken apart go
 * through the same steps, so that texts that read the same are the same. The server folds case, width and accents.
 */

/** What a step replaces, and by what. A step sees the text that the step before it wrote. */
type Step = readonly [pattern: RegExp, replace: (match: string) => string];

/** A text and, for each of its UTF-16 units, the range of the original that it stands for. */
export type AlignedText = { text: string; from: readonly number[]; to: readonly number[] };

/** Emoticons are indexed as the emoji they stand for, so either finds the other. */
const emoticons: Readonly<Record<string, string>> = {
  ':-)': '🙂',
  ':)': '🙂',
  '=)': '🙂',
  ':-(': '🙁',
  ':(': '🙁',
  ';-)': '😉',
  ';)': '😉',
  ':-D': '😀',
  ':D': '😀',
  ':-P': '😛',
  ':P': '😛',
  ':-p': '😛',
  ':p': '😛',
  '<3': '❤',
};

/** Names made of signs that the tokenizer drops, by the signs. */
const signs: Readonly<Record<string, string>> = { '++': 'plusplus', '#': 'sharp', '.': 'dot_' };

const literal = (text: string) => text.replace(/[()+.]/g, '\\$&');
const anyOf = (texts: string[]) => texts.map(literal).join('|');

/** An accent typed for an apostrophe: normalisation would part it into a space and a mark. */
const accentAlone = /[\u00b4\u1ffd]/g;

/** Apostrophes, and the letters that keyboards offer in their place; the Hebrew geresh. */
const apostrophes = /[\u02b9\u02bb-\u02bf\u2018\u2019\u201b\u2032\u055a\u05f3\ua78c]/g;

/** A character beyond ASCII, or any with marks, together with what may become one with it. */
const hangul =
  '[\\uac00-\\ud7a3]?[\\u1100-\\u11ff\\u3131-\\u318e\\ua960-\\ua97c\\ud7b0-\\ud7fb\\uffa0-\\uffdc]+';
const joining = '[\\p{M}\\p{Default_Ignorable_Code_Point}\\uff9e\\uff9f]';
const clusters = new RegExp(`${hangul}|[\\0-\\x7f]${joining}+|[^\\0-\\x7f]${joining}*`, 'gu');

/** Signs that show nothing, and those that are no characters: the marks of highlights are of the latter. */
const invisible = /[\p{Default_Ignorable_Code_Point}\p{Noncharacter_Code_Point}]/gu;

/** Accents, points and vowel signs that may be left out. Marks of Indic and other scripts are letters, so is kana's. */
const optionalMarks =
  /[[\p{M}&&[\p{Script=Inherited}\p{Script=Arabic}\p{Script=Cyrillic}\p{Script=Hebrew}\p{Script=Syriac}]]--[\u3099\u309a]]/gv;

const normalCluster = (cluster: string): string => {
  const composed = cluster.replace(invisible, '').normalize('NFKC');
  const bare = /\p{Script=Greek}/u.test(composed) ? composed.normalize('NFD') : composed;
  return bare.replace(optionalMarks, '').replaceAll('\u0671', '\u0627');
};

/** Scripts without spaces for which the server knows no words: each letter is found by its place beside the next. */
const unspaced = '[\\p{Script=Thai}\\p{Script=Lao}\\p{Script=Khmer}\\p{Script=Myanmar}]';

/** A letter of a script that puts spaces between words, as a class of a regular expression with the flag `v`. */
export const spacedLetter = `[[\\p{L}\\p{M}]--[\\p{Script=Han}\\p{Script=Hiragana}\\p{Script=Katakana}${unspaced}]]`;

const steps: readonly Step[] = [
  [accentAlone, () => "'"],
  [clusters, normalCluster],
  [apostrophes, () => "'"],
  // Signs mean something only as a word of their own: ":p" is no face in "std::pair", "c#" no language in "rfc#api".
  [
    new RegExp(`(?<!\\S)(?:${anyOf(Object.keys(emoticons))})(?![^\\s.,;!?])`, 'g'),
    (face) => emoticons[face] ?? face,
  ],
  [/(?<=(?<![^\s([{"'/,])[A-Za-z])(?:\+\+|#)(?![^\s)\]}"'/,.;:!?])/g, (sign) => signs[sign] ?? sign],
  [/(?<![^\s([{"'/,])\.(?=net(?![^\s)\]}"'/,.;:!?]))/gi, (sign) => signs[sign] ?? sign],
  // A quote inside a word is a part of it, as in Hebrew abbreviations.
  [new RegExp(`(?<=${spacedLetter})["\u05f4\u201c\u201d\u201e](?=${spacedLetter})`, 'gv'), () => '_'],
  // The server parts camel case where small letters end; here capitals end, as in "XMLHttp".
  [/(?<=\p{Lu})(?=\p{Lu}\p{Ll}{2})/gu, () => '_'],
  [new RegExp(`(?<=${unspaced})(?=[${unspaced}&&\\p{L}])`, 'gv'), () => '\u200b'],
];

/** @returns the text in the spelling that is indexed and looked for */
export const normalText = (text: string): string =>
  steps.reduce((before, [pattern, replace]) => before.replace(pattern, replace), text.toWellFormed());

/** {@link normalText}, with the place in the original that each unit comes from. */
export const alignedNormalText = (text: string): AlignedText =>
  steps.reduce(applyAligned, {
    text: text.toWellFormed(),
    from: Array.from({ length: text.length }, (_, at) => at),
    to: Array.from({ length: text.length }, (_, at) => at + 1),
  });

const applyAligned = (before: AlignedText, [pattern, replace]: Step): AlignedText => {
  const from: number[] = [];
  const to: number[] = [];
  let text = '';
  let end = 0;
  const copy = (until: number) => {
    text += before.text.slice(end, until);
    for (; end < until; end += 1) {
      from.push(before.from[end] ?? 0);
      to.push(before.to[end] ?? 0);
    }
  };
  for (const { 0: match, index } of before.text.matchAll(pattern)) {
    copy(index);
    const replacement = replace(match);
    const start = before.from[index] ?? before.to.at(-1) ?? 0;
    const stop = match === '' ? start : (before.to[index + match.length - 1] ?? start);
    text += replacement;
    for (let unit = 0; unit < replacement.length; unit += 1) {
      from.push(start);
      to.push(stop);
    }
    end = index + match.length;
  }
  copy(before.text.length);
  return { text, from, to };
};
