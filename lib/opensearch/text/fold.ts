/** Latin letters that Unicode does not decompose, each with the letters that the server's `asciifolding` writes. */
const latin = new Map(
  `æae ðd øo þth ßss đd ħh ıi ĸq łl ŋn œoe ŧt ƀb ƃb ƈc ƌd ƕhv ƙk ƚl ƞn ƥp ƫt ƭt
    ƴy ƶz ƿw ƒf ǝe ǥg ȝz ȡd ȣou ȥz ȴl ȵn ȶt ȷj ȸdb ȹqp ⱥa ȼc ⱦt ȿs ɀz ɇe ɉj ɋq
    ɍr ɏy ɓb ɔo ɖd ɗd əa ɛe ɠg ɨi ɯm ɲn ɵo ʀr ʈt ʉu ʋv ʌv ẜs ẝs ỻll ỿy`
    .split(/\s+/)
    .map((pair) => [pair.slice(0, 1), pair.slice(1)]),
);

/** Letters that writers of Greek, Cyrillic, Arabic and Persian replace by another. */
const others: Readonly<Record<string, string>> = {
  ς: 'σ',
  ё: 'е',
  آ: 'ا',
  أ: 'ا',
  إ: 'ا',
  ة: 'ه',
  ى: 'ي',
  ک: 'ك',
  ۀ: 'ه',
  ہ: 'ه',
  ی: 'ي',
  ے: 'ي',
};

/** The value of a decimal digit of any script: its place in its run of ten. */
const digit = (sign: string): string => {
  const code = sign.codePointAt(0) ?? 0;
  let before = 0;
  while (/\p{Nd}/u.test(String.fromCodePoint(code - before - 1))) before += 1;
  return String(before % 10);
};

/** The ASCII digits of a text, in their order. */
export const digitsOf = (text: string): string =>
  text.replace(/\P{Nd}/gu, '').replace(/[^0-9]/gu, (sign) => digit(sign));

const ascii = /^[\0-\x7f]*$/;
const skinTones = /[\u{1f3fb}-\u{1f3ff}\u0640]/gu;

/**
 * The one spelling of a word, as the filters of `analysis.ts` fold it: without case and accents.
 * @param word in the normalized spelling of `normal-text.ts`
 */
export const fold = (word: string): string => {
  if (ascii.test(word)) return word.toLowerCase();
  return word
    .toLowerCase()
    .replace(/\p{Script=Latin}\p{M}*/gu, (letter) => letter.normalize('NFD').replace(/\p{M}/gu, ''))
    .replace(/\p{L}/gu, (letter) => latin.get(letter) ?? others[letter] ?? letter)
    .replace(/(?![0-9])\p{Nd}/gu, digit)
    .replace(skinTones, '');
};

const arabicArticle = /^(?:[وبكف]?ال|لل|و)(?=..)/u;
const arabicEnding = /(?<=..)(?:ها|ان|ات|ون|ين|يه|[هي])$/u;

/** A folded Arabic word without its article and its endings, as the server's `arabic_stem` does it. */
export const arabicStem = (folded: string): string => {
  let stem = folded.replace(arabicArticle, '');
  for (let before = ''; before !== stem; ) {
    before = stem;
    stem = stem.replace(arabicEnding, '');
  }
  return stem;
};
