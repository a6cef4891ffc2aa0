/**
 * The normalized spelling for search. Messages and queries go through the same steps, so that texts that look the same
 * become equal. The server then folds case, width and accents.
 */

/** A pattern and its replacement. Each step reads the result of the previous step. */
type Step = readonly [pattern: RegExp, replace: (match: string) => string];

/** A normalized text, and the mapping of its places to the original. Places count UTF-16 units. */
export type AlignedText = {
  text: string;
  /** The place in the original where the source of the unit at `place` begins. */
  startOf(place: number): number;
  /** The place in the original where the source of the unit before `place` ends. */
  endOf(place: number): number;
};

/** Emoticons become the emoji of the same meaning, so each finds the other. */
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

/** The name of a sign that the tokenizer would drop. Markdown may put a backslash before it. */
const nameOfSign = (sign: string) => (sign === '.' ? 'dot_' : sign.includes('+') ? 'plusplus' : 'sharp');

const literal = (text: string) => text.replace(/[()]/g, '\\$&');
const anyOf = (texts: string[]) => texts.map(literal).join('|');

/** Signs of trade marks and copyrights. They count for nothing: "ACME™ tools" reads "ACME tools". */
const tradeMarks = '[\\u00a9\\u00ae\\u2117\\u2120\\u2122\\u{1f16a}-\\u{1f16c}]\\ufe0f?';

/** Accents in the place of an apostrophe. Normalization would split them into a space and a mark. */
const accentAlone = /[\u00b4\u1ffd]/g;

/** Apostrophes, letters that keyboards offer in their place, and the Hebrew geresh. */
const apostrophes = /[\u02b9\u02bb-\u02bf\u2018\u2019\u201b\u2032\u055a\u05f3\ua78c]/g;

/** Clusters that normalization may combine: a character beyond ASCII or one with marks, with all its marks. */
const hangul =
  '[\\uac00-\\ud7a3]?[\\u1100-\\u11ff\\u3131-\\u318e\\ua960-\\ua97c\\ud7b0-\\ud7fb\\uffa0-\\uffdc]+';
const joining = '[\\p{M}\\p{Default_Ignorable_Code_Point}\\uff9e\\uff9f]';
/** The only letters that combine with letters, besides Hangul. */
const kiratRai = '[\\u{16d63}-\\u{16d6a}]+';
const clusters = new RegExp(`${hangul}|${kiratRai}|[\\0-\\x7f]${joining}+|[^\\0-\\x7f]${joining}*`, 'gu');

/** Invisible characters, and noncharacters such as the marks of highlights. */
const invisible = /[\p{Default_Ignorable_Code_Point}\p{Noncharacter_Code_Point}]/gu;

/** Accents, points and vowel signs that writers may leave out. Marks of kana, Indic and other scripts are letters. */
const optionalMarks =
  /[[\p{M}&&[\p{Script=Inherited}\p{Script=Arabic}\p{Script=Cyrillic}\p{Script=Hebrew}\p{Script=Syriac}]]--[\u3099\u309a]]/gv;

const normalCluster = (cluster: string): string => {
  const composed = cluster.replace(invisible, '').normalize('NFKC');
  const bare = /\p{Script=Greek}/u.test(composed) ? composed.normalize('NFD') : composed;
  return bare.replace(optionalMarks, '').replaceAll('\u0671', '\u0627');
};

/** Scripts without spaces for which the server has no dictionary. Search finds adjacent letters instead of words. */
const unspaced = '[\\p{Script=Thai}\\p{Script=Lao}\\p{Script=Khmer}\\p{Script=Myanmar}]';

/** A letter of a script that puts spaces between words, as a class of a regular expression with the flag `v`. */
export const spacedLetter = `[[\\p{L}\\p{M}]--[\\p{Script=Han}\\p{Script=Hiragana}\\p{Script=Katakana}${unspaced}]]`;

/** Scripts that attach a name of Latin letters without a space, or have no spaces at all. */
const attaching = `[\\p{Script=Han}\\p{Script=Hiragana}\\p{Script=Katakana}\\p{Script=Hangul}${unspaced}]`;

const steps: readonly Step[] = [
  [new RegExp(`${tradeMarks}(?=[\\p{L}\\p{N}])`, 'gu'), () => ' '],
  [new RegExp(tradeMarks, 'gu'), () => ''],
  [accentAlone, () => "'"],
  [clusters, normalCluster],
  [apostrophes, () => "'"],
  // An emoticon must be a word of its own: "std::pair" contains no face, and "<3.7" no heart.
  [
    new RegExp(`(?<!\\S)(?:${anyOf(Object.keys(emoticons))})(?![^\\s.,;!?]|[.,;!?]+\\p{N}|\\.\\p{L})`, 'gu'),
    (face) => emoticons[face] ?? face,
  ],
  // A name with signs may stand in Markdown or HTML, with a number behind it or between letters of another script, but
  // not inside a word: "rfc#api" contains no language, and "example.net" no platform.
  [
    /(?<=(?<![\p{Script=Latin}\p{N}])[A-Za-z])(?:(?:\\?\+){2}|\\?[#\u266f])(?![\p{Script=Latin}+#\u266f])/gu,
    nameOfSign,
  ],
  [new RegExp(`(?<![[\\p{L}\\p{N}]--${attaching}])\\.(?=net(?!\\p{Script=Latin}))`, 'giv'), nameOfSign],
  // A quote inside a word belongs to the word, as in Hebrew abbreviations.
  [new RegExp(`(?<=${spacedLetter})["\u05f4\u201c\u201d\u201e](?=${spacedLetter})`, 'gv'), () => '_'],
  [new RegExp(`(?<=${unspaced})(?=[${unspaced}&&\\p{L}])`, 'gv'), () => '\u200b'],
];

/** @returns the normalized text, for indexing and for queries */
export const normalText = (text: string): string =>
  steps.reduce((before, [pattern, replace]) => before.replace(pattern, replace), text.toWellFormed());

/** A replacement of one step: `[from, to)` of its text became `[newFrom, newTo)` of the next text. */
type Edit = { from: number; to: number; newFrom: number; newTo: number };

const applyStep = (before: string, [pattern, replace]: Step): { text: string; edits: Edit[] } => {
  const edits: Edit[] = [];
  let grown = 0;
  const text = before.replace(pattern, (match: string, ...rest: unknown[]) => {
    const from = Number(rest.find((value) => typeof value === 'number'));
    const replacement = replace(match);
    if (replacement !== match) {
      const newFrom = from + grown;
      edits.push({ from, to: from + match.length, newFrom, newTo: newFrom + replacement.length });
      grown += replacement.length - match.length;
    }
    return replacement;
  });
  return { text, edits };
};

/** The last edit that begins at `place` or before it. */
const editBefore = (edits: readonly Edit[], place: number): Edit | undefined => {
  let low = 0;
  let high = edits.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((edits[middle]?.newFrom ?? 0) <= place) low = middle + 1;
    else high = middle;
  }
  return edits[low - 1];
};

/** {@link normalText} with the mapping to the original. */
export const alignedNormalText = (original: string): AlignedText => {
  const lastFirst: Edit[][] = [];
  const text = steps.reduce((before, step) => {
    const after = applyStep(before, step);
    if (after.edits.length > 0) lastFirst.unshift(after.edits);
    return after.text;
  }, original.toWellFormed());
  return {
    text,
    startOf: (place) =>
      lastFirst.reduce((at, edits) => {
        const edit = editBefore(edits, at);
        if (edit === undefined) return at;
        return at < edit.newTo ? edit.from : at - edit.newTo + edit.to;
      }, place),
    endOf: (place) =>
      lastFirst.reduce((at, edits) => {
        const edit = editBefore(edits, at - 1);
        if (edit === undefined) return at;
        return at <= edit.newTo ? edit.to : at - edit.newTo + edit.to;
      }, place),
  };
};
