import { arabicStem, fold } from '../text/fold.ts';
import type { QueryText } from '../text/query-text.ts';
import { almostBegins } from './almost-begins.ts';
import { type Needle, needlesOf } from './needles.ts';
import { type Parts, readParts } from './parts.ts';

/** A match in a text, in UTF-16 units. */
export type Match = { from: number; to: number; needle: Needle };

/** The most matches of a word in a message. A word with more is in every fragment anyway. */
const mostMatches = 300;

/** The reading of a message ends when each word has as many matches. More would not change the few fragments. */
const enoughMatches = 30;

/**
 * The most parts of a message that are compared with the middle of a word or phrase. Only a text that nearly repeats a
 * long phrase without end needs more. There the words of the phrase are marked.
 */
const maxSteps = 10_000;

/** The longest compound, in letters, that is compared as one mistyped word. */
const maxCompound = 40;

/** The shortest ends of words that are parts of compounds: `strasse` in "Hauptstrasse". */
const minEnd = 4;
const minBeginning = 2;

/** The needles that a part matches alone, as far as its letters tell. */
type Sight = { folded: string; matches: Needle[]; mistyped: Needle[]; opens: Needle[] };

const isMistyped = (folded: string, { letters, canBeMistyped }: Needle): boolean =>
  canBeMistyped && almostBegins(folded, letters) && (letters.length > 5 || folded.length <= 6);

/** The letters of a part with which a needle may begin. Zeros before a phone number do not count. */
const beginningOf = (folded: string, { isPhone }: Needle) => (isPhone ? folded.replace(/^0+/, '') : folded);

const matchesAlone = (folded: string, { letters, isPhrase, isPhone, stem }: Needle): boolean => {
  if (folded === letters) return true;
  if (isPhrase) return false;
  if (letters.length >= minBeginning && folded.startsWith(letters)) return true;
  if (letters.length >= minEnd && folded.endsWith(letters) && (isPhone || /^\p{L}+$/u.test(letters)))
    return true;
  return stem !== undefined && arabicStem(folded) === stem;
};

const lookAt = (folded: string, needles: readonly Needle[]): Sight => {
  const sight: Sight = { folded, matches: [], mistyped: [], opens: [] };
  for (const needle of needles) {
    const beginning = beginningOf(folded, needle);
    if (matchesAlone(beginning, needle)) {
      sight.matches.push(needle);
      continue;
    }
    if (beginning !== '' && needle.letters.startsWith(beginning)) sight.opens.push(needle);
    if (isMistyped(folded, needle)) sight.mistyped.push(needle);
  }
  return sight;
};

/** Matches of each needle: exact ones, and mistyped ones that count only without exact ones. */
type Found = Map<Needle, { exact: Match[]; mistyped: Match[] }>;

const chosen = (found: Found): Match[] => {
  const of = (needle: Needle): Match[] => {
    const { exact = [], mistyped = [] } = found.get(needle) ?? {};
    return exact.length > 0 ? exact : mistyped;
  };
  return [...found.keys()]
    .filter(({ insteadOf }) => insteadOf === undefined || of(insteadOf).length === 0)
    .flatMap(of)
    .sort((one, other) => one.from - other.from || one.to - other.to);
};

/**
 * @returns the matches of a query in a text, in order. It takes time in proportion to the text. Words that texts share
 * are compared with the query once
 */
export const createMatcher = (query: QueryText): ((text: string) => Match[]) => {
  const needles = needlesOf(query);
  const sights = new Map<string, Sight>();
  const sightOf = (text: string): Sight => {
    const known = sights.get(text);
    if (known !== undefined) return known;
    const sight = lookAt(fold(text), needles);
    sights.set(text, sight);
    return sight;
  };

  let stepsLeft = 0;

  /** The end of a needle that begins with a part and goes on in the next ones. */
  const follow = (needle: Needle, at: number, partAt: Parts<Sight>) => {
    const { letters, ends, isPhrase, isPhone } = needle;
    let matched = 0;
    for (let index = at; ; index += 1) {
      const part = partAt(index);
      stepsLeft -= 1;
      if (part === undefined || stepsLeft < 0) return undefined;
      if (index > at && !part.isGlued && !isPhone && !ends.has(matched)) return undefined;
      const folded = index > at ? part.seen.folded : beginningOf(part.seen.folded, needle);
      if (letters.startsWith(folded, matched)) matched += folded.length;
      // The zero for calls within a country, as in "+49 (0)170".
      else if (isPhone && folded === '0') continue;
      else return !isPhrase && folded.startsWith(letters.slice(matched)) ? part.to : undefined;
      if (matched === letters.length) return part.to;
    }
  };

  /** A compound from its first part on, as one word. */
  const compoundAt = (at: number, partAt: Parts<Sight>) => {
    let folded = '';
    let to = 0;
    for (let index = at; folded.length < maxCompound; index += 1) {
      const part = partAt(index);
      if (part === undefined || (index > at && !part.isGlued)) break;
      folded += part.seen.folded;
      to = part.to;
    }
    return { folded, to };
  };

  return (text) => {
    stepsLeft = maxSteps;
    const partAt = readParts(text, sightOf);
    const found: Found = new Map(needles.map((needle) => [needle, { exact: [], mistyped: [] }]));
    const passed = new Map<Needle, number>();
    const add = (kind: 'exact' | 'mistyped', match: Match) => {
      const matches = found.get(match.needle)?.[kind];
      if (matches === undefined || matches.length >= mostMatches) return;
      matches.push(match);
      passed.set(match.needle, match.to);
    };
    const isEnough = () => [...found.values()].every(({ exact }) => exact.length >= enoughMatches);
    for (let at = 0; ; at += 1) {
      const part = partAt(at);
      if (part === undefined || (at % enoughMatches === 0 && isEnough())) return chosen(found);
      const { matches, mistyped, opens } = part.seen;
      const { from, to } = part;
      for (const needle of matches) add('exact', { from, to, needle });
      for (const needle of mistyped) add('mistyped', { from, to, needle });
      for (const needle of opens) {
        if (stepsLeft <= 0) break;
        if (from < (passed.get(needle) ?? 0)) continue;
        const end = follow(needle, at, partAt);
        if (end !== undefined) add('exact', { from, to: end, needle });
      }
      if (!part.isGlued && partAt(at + 1)?.isGlued) {
        const compound = compoundAt(at, partAt);
        for (const needle of needles) {
          if (isMistyped(compound.folded, needle)) add('mistyped', { from, to: compound.to, needle });
        }
      }
    }
  };
};
