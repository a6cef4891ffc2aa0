import { alignedNormalText } from '../text/normal-text.ts';

/** The marks around matches. They are Unicode noncharacters, which no indexed text contains. */
export const marks = { start: '\ufdd0', end: '\ufdd1' } as const;

/** The most fragments of a message, and their approximate length in UTF-16 units. */
const maxFragments = 3;
const fragmentUnits = 160;

type Range = { from: number; to: number };

const escapes: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#x27;',
  '/': '&#x2F;',
};
const toHtml = (text: string) => text.replace(/[&<>"'/]/g, (sign) => escapes[sign] ?? sign);

/** Characters inside a name, such as the dots of a version. Marks on both sides of one become one mark. */
const joining = /^[^\s<>&\p{L}\p{N}]?$/u;

/** The ranges of `body` that the server marked. It returns the texts between NULs that contain a match, in order. */
const markedRanges = (texts: readonly string[], body: string): Range[] => {
  const ranges: Range[] = [];
  let searchedTo = 0;
  for (const marked of texts) {
    let at = Math.max(
      body.indexOf(marked.replaceAll(marks.start, '').replaceAll(marks.end, ''), searchedTo),
      0,
    );
    for (const [index, part] of marked.split(marks.start).entries()) {
      const [match = '', rest = ''] = index === 0 ? ['', part] : part.split(marks.end);
      if (index > 0) ranges.push({ from: at, to: at + match.length });
      at += match.length + rest.length;
    }
    searchedTo = at;
  }
  return ranges;
};

/** The letters and digits alone, without case and accents. */
const fold = (text: string) =>
  text
    .normalize('NFD')
    .replace(/[^\p{L}\p{N}]/gu, '')
    .toLowerCase()
    .replaceAll('ß', 'ss')
    .replaceAll('ς', 'σ');

/** True if `word` begins with `beginning`, with at most one letter wrong, missing, added or swapped. */
const almostBegins = (word: string, beginning: string): boolean => {
  let same = 0;
  while (same < beginning.length && word[same] === beginning[same]) same += 1;
  const rest = beginning.slice(same + 1);
  const swapped = word[same] === beginning[same + 1] && word[same + 1] === beginning[same];
  return (
    word.startsWith(rest, same + 1) ||
    word.startsWith(rest, same) ||
    word.startsWith(beginning.slice(same), same + 1) ||
    (swapped && word.startsWith(beginning.slice(same + 2), same + 2))
  );
};

/** Words that match by a part or by a mistyped beginning. The server marks only whole words. */
const likelyRanges = (body: string, words: readonly string[]): Range[] => {
  const wanted = words.map(fold).filter((word) => word.length >= 2);
  const isLikely = (folded: string) =>
    wanted.some((word) => folded.includes(word) || (word.length > 4 && almostBegins(folded, word)));
  const ranges: Range[] = [];
  for (const { 0: word, index } of body.matchAll(/[\p{L}\p{M}\p{N}]+(?:[-._'@:][\p{L}\p{M}\p{N}]+)*/gu)) {
    if (isLikely(fold(word))) ranges.push({ from: index, to: index + word.length });
  }
  return ranges;
};

const joinAcross = (text: string, ranges: readonly Range[]): Range[] => {
  const joined: Range[] = [];
  for (const { from, to } of ranges) {
    const last = joined.at(-1);
    if (last !== undefined && (from <= last.to || joining.test(text.slice(last.to, from))))
      last.to = Math.max(last.to, to);
    else joined.push({ from, to });
  }
  return joined;
};

/** The groups of neighbouring marks with the most marks, in the order of the text. */
const richestGroups = (ranges: readonly Range[]): Range[][] => {
  const groups: Range[][] = [];
  for (const range of ranges) {
    const group = groups.at(-1);
    if (group?.[0] !== undefined && range.to - group[0].from <= fragmentUnits) group.push(range);
    else groups.push([range]);
  }
  const richest = new Set(groups.toSorted((a, b) => b.length - a.length).slice(0, maxFragments));
  return groups.filter((group) => richest.has(group));
};

const startOfWord = /[\s\p{P}](?=[^\s\p{P}])/gu;

/** A group of marks with the text around it, cut between words where possible. */
const fragmentAround = (text: string, group: readonly Range[]): Range => {
  const first = group[0]?.from ?? 0;
  const last = group.at(-1)?.to ?? first;
  const around = Math.max(0, fragmentUnits - (last - first)) / 2;
  const from = Math.max(0, Math.floor(first - around));
  const to = Math.min(text.length, Math.ceil(last + around));
  const before = text.slice(from, first).search(startOfWord);
  const after = text.slice(last, to).search(/\s\S*$/u);
  return {
    from: from === 0 ? 0 : before < 0 ? first : from + before + 1,
    to: to === text.length ? to : after < 0 ? last : last + after,
  };
};

const markUp = (text: string, { from, to }: Range, group: readonly Range[]): string => {
  let html = '';
  let end = from;
  for (const mark of group) {
    html += `${toHtml(text.slice(end, mark.from))}<em>${toHtml(text.slice(mark.from, mark.to))}</em>`;
    end = mark.to;
  }
  return (html + toHtml(text.slice(end, to))).trim();
};

/**
 * Fragments of a message as it was sent, as HTML, with the matches in `<em>`.
 * @param marked the texts of `body` that contain a match, whole and in order, with {@link marks} around the matches
 * @param words the words of the query, for messages without marks of the server
 * @param original the message as it was sent, if it differs from `body`
 */
export const htmlFragments = (
  marked: readonly string[],
  { words, body, original }: { words: readonly string[]; body: string; original?: string | undefined },
): string[] => {
  const ranges = marked.length > 0 ? markedRanges(marked, body) : likelyRanges(body, words);
  if (ranges.length === 0) return [];
  const shown = original ?? body;
  const aligned = original === undefined ? undefined : alignedNormalText(original);
  const inShown = ranges.map(({ from, to }) =>
    aligned === undefined ? { from, to } : { from: aligned.startOf(from), to: aligned.endOf(to) },
  );
  return richestGroups(joinAcross(shown, inShown)).map((group) =>
    markUp(shown, fragmentAround(shown, group), group),
  );
};
