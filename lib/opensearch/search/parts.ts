import { fold } from '../text/fold.ts';

/**
 * The smallest piece of a text that can match: a run of letters of one case (`get`, `Element`, `ERR`), a number, an emoji,
 * or one letter of a script without spaces. Places count UTF-16 units.
 */
type Part<Seen> = {
  from: number;
  to: number;
  seen: Seen;
  /** True if nothing or one sign, but no white space, is between this part and the one before. */
  isGlued: boolean;
};

/** Letters that the index keeps in pairs, or one by one. */
const single =
  '[[\\p{scx=Han}\\p{scx=Hira}\\p{scx=Kana}\\p{scx=Hang}\\p{scx=Thai}\\p{scx=Lao}\\p{scx=Khmr}\\p{scx=Mymr}]&&\\p{L}]';
const upper = '(?:\\p{Lu}\\p{M}*)';
const lower = `(?:[\\p{L}--[\\p{Lu}${single}]]\\p{M}*)`;
const emoji = '\\p{RI}{1,2}|\\p{Extended_Pictographic}';

/** The English possessive, which the index leaves out. */
const possessive = "(?<=\\p{L})'[sS](?![\\p{L}\\p{N}])";

const partPattern = new RegExp(
  `${possessive}|${upper}+(?=${upper}${lower})|${upper}?${lower}+|${upper}+|${single}\\p{M}*|\\p{N}+|${emoji}`,
  'gv',
);

const isPossessive = (part: string) => part.charCodeAt(0) === 0x27;

/** The white space that normalized text has. */
const isSpace = (code: number) => code <= 0x20 || code === 0x2028 || code === 0x2029 || code === 0x1680;

/** The part of a text at an index. */
export type Parts<Seen> = (index: number) => Part<Seen> | undefined;

/** Reads the parts of a text in order, each once, so that a reader may stop early. `see` looks at the text of a part. */
export const readParts = <Seen>(text: string, see: (part: string) => Seen): Parts<Seen> => {
  const parts: Part<Seen>[] = [];
  const pattern = new RegExp(partPattern);
  let end = -2;
  let isRead = false;
  const readNext = (): boolean => {
    let match = pattern.exec(text);
    while (match !== null && isPossessive(match[0])) match = pattern.exec(text);
    if (match === null) {
      isRead = true;
      return false;
    }
    const { 0: part, index: from } = match;
    const isGlued = from === end || (from === end + 1 && !isSpace(text.charCodeAt(end)));
    end = from + part.length;
    parts.push({ from, to: end, seen: see(part), isGlued });
    return true;
  };
  return (index) => {
    while (parts.length <= index) if (isRead || !readNext()) return undefined;
    return parts[index];
  };
};

/** The folded parts of a word or phrase of a query. */
export const foldedParts = (text: string): string[] =>
  [...text.matchAll(partPattern)].flatMap(([part]) => (isPossessive(part) ? [] : [fold(part)]));
