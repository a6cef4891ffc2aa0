import { type Graphemes, graphemesOf } from '../text/graphemes.ts';
import { alignedNormalText } from '../text/normal-text.ts';
import type { QueryText } from '../text/query-text.ts';
import { createMatcher } from './matches.ts';
import type { Needle } from './needles.ts';

/** The most fragments of a message, and their approximate length in UTF-16 units. */
const maxFragments = 3;
const fragmentUnits = 160;

/** A fragment is cut between words, if a word ends within this many units. */
const cutUnits = 30;

type Range = { from: number; to: number };
type Mark = Range & { needles: Needle[] };

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

const joinAcross = (text: string, marks: readonly Mark[]): Mark[] => {
  const joined: Mark[] = [];
  for (const { from, to, needles } of marks) {
    const last = joined.at(-1);
    if (last !== undefined && (from <= last.to || joining.test(text.slice(last.to, from)))) {
      last.to = Math.max(last.to, to);
      last.needles.push(...needles);
    } else joined.push({ from, to, needles: [...needles] });
  }
  return joined;
};

/** Letters of the query that a group of marks shows. Longer words are rarer and say more. */
const lettersIn = (group: readonly Mark[]) =>
  [...new Set(group.flatMap(({ needles }) => needles))].reduce((sum, { letters }) => sum + letters.length, 0);

/** The groups of neighbouring marks that show most of the query, in the order of the text. */
const richestGroups = (marks: readonly Mark[]): Mark[][] => {
  const groups: Mark[][] = [];
  for (const mark of marks) {
    const group = groups.at(-1);
    if (group?.[0] !== undefined && mark.to - group[0].from <= fragmentUnits) group.push(mark);
    else groups.push([mark]);
  }
  const ranked = groups
    .map((group) => ({ group, letters: lettersIn(group) }))
    .sort((a, b) => b.letters - a.letters || b.group.length - a.group.length);
  const richest = new Set(ranked.slice(0, maxFragments).map(({ group }) => group));
  return groups.filter((group) => richest.has(group));
};

const startOfWord = /[\s\p{P}](?=[^\s\p{P}])/u;
const endOfWord = /\s\S*$/u;

/** A group of marks with the text around it, cut between words where possible, and never inside a visible sign. */
const fragmentAround = (text: string, group: readonly Range[], graphemes: Graphemes): Range => {
  const first = group[0]?.from ?? 0;
  const last = group.at(-1)?.to ?? first;
  const around = Math.max(0, fragmentUnits - (last - first)) / 2;
  const from = Math.max(0, Math.floor(first - around));
  const to = Math.min(text.length, Math.ceil(last + around));
  const startsWord = text.slice(from, Math.min(first, from + cutUnits)).search(startOfWord);
  const endsFrom = Math.max(last, to - cutUnits);
  const endsWord = text.slice(endsFrom, to).search(endOfWord);
  return {
    from: from === 0 ? 0 : startsWord < 0 ? Math.min(first, graphemes.endOf(from)) : from + startsWord + 1,
    to: to === text.length ? to : endsWord < 0 ? Math.max(last, graphemes.startOf(to)) : endsFrom + endsWord,
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

/** A message in the index: `original` is the text as it was sent, if it differs from the normalized `body`. */
type Texts = { body: string; original?: string | undefined };

/**
 * @returns a function that gives fragments of a message as it was sent, as HTML, with the matches of the query in `<em>`.
 * Without marks the fragments are the sent text, and no mark splits a visible sign
 */
export const createHighlighter = (query: QueryText): ((texts: Texts) => string[]) => {
  const matchesIn = createMatcher(query);
  return ({ body, original }) => {
    const marks = matchesIn(body).map(({ from, to, needle }) => ({ from, to, needles: [needle] }));
    if (marks.length === 0) return [];
    const shown = original ?? body;
    const aligned = original === undefined ? undefined : alignedNormalText(original);
    const graphemes = graphemesOf(shown);
    const asShown = (mark: Mark): Mark => ({
      ...mark,
      from: graphemes.startOf(aligned?.startOf(mark.from) ?? mark.from),
      to: graphemes.endOf(aligned?.endOf(mark.to) ?? mark.to),
    });
    return richestGroups(joinAcross(body, marks)).map((group) => {
      const marksShown = joinAcross(shown, group.map(asShown));
      return markUp(shown, fragmentAround(shown, marksShown, graphemes), marksShown);
    });
  };
};
