import { alignedNormalText } from './normal-text.ts';

/** What the server puts around matches: no characters, so that no indexed text holds them. */
export const marks = { start: '\ufdd0', end: '\ufdd1' } as const;

const escapes: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#x27;',
  '/': '&#x2F;',
};
const toHtml = (text: string) => text.replace(/[&<>"'/]/g, (sign) => escapes[sign] ?? sign);

/** Signs inside a name, such as the dots of a version: marks on both sides of one become one mark. */
const joining = /^[^\s<>&\p{L}\p{N}]?$/u;

type Range = { from: number; to: number };

/** A fragment without its marks, and where they stood. */
const parse = (fragment: string): { text: string; marked: Range[] } => {
  const marked: Range[] = [];
  let text = '';
  for (const part of fragment.split(marks.start)) {
    const [match, rest] = part.split(marks.end);
    if (rest === undefined) text += part;
    else {
      marked.push({ from: text.length, to: text.length + (match?.length ?? 0) });
      text += `${match}${rest}`;
    }
  }
  return { text, marked };
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

/**
 * Fragments of a message as it was sent, as HTML, with the matches in `<em>`.
 * @param fragments of `body`, in its order, with {@link marks} around the matches
 * @param original the message where it differs from `body`, its spelling for search
 */
export const htmlFragments = (
  fragments: readonly string[],
  { body, original }: { body: string; original?: string | undefined },
): string[] => {
  if (fragments.length === 0) return [];
  const aligned = original === undefined ? undefined : alignedNormalText(original);
  const shown = original ?? body;
  const toShown = ({ from, to }: Range): Range =>
    aligned === undefined
      ? { from, to }
      : { from: aligned.from[from] ?? 0, to: aligned.to[to - 1] ?? shown.length };
  let searchedTo = 0;
  return fragments.map((fragment) => {
    const { text, marked } = parse(fragment);
    const start = Math.max(body.indexOf(text, searchedTo), 0);
    searchedTo = start + text.length;
    const whole = toShown({ from: start, to: searchedTo });
    let html = '';
    let end = whole.from;
    const ranges = marked.map(({ from, to }) => toShown({ from: start + from, to: start + to }));
    for (const { from, to } of joinAcross(shown, ranges)) {
      html += `${toHtml(shown.slice(end, from))}<em>${toHtml(shown.slice(from, to))}</em>`;
      end = to;
    }
    return html + toHtml(shown.slice(end, whole.to));
  });
};
