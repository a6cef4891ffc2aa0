import { kinds } from './audit.ts';
import type { RoundResult } from './round.ts';

const seconds = (values: readonly (number | undefined)[]): string => {
  if (values.some((value) => value === undefined)) return 'never';
  const known = values.flatMap((value) => (value === undefined ? [] : [value])).sort((a, b) => a - b);
  const middle = known[Math.floor((known.length - 1) / 2)] ?? 0;
  const last = known.at(-1) ?? 0;
  return known.length === 1 ? last.toFixed(0) : `${middle.toFixed(0)} (most ${last.toFixed(0)})`;
};

/** A Markdown table, one line for each fault, in the order in which they were first run. */
export const tableOf = (results: readonly RoundResult[], whatOf: (fault: string) => string): string => {
  const byFault = Map.groupBy(results, ({ fault }) => fault);
  const sum = (of: readonly number[]) => of.reduce((a, b) => a + b, 0);
  const rows = [...byFault].map(([fault, rounds]) => [
    whatOf(fault),
    String(rounds.length),
    String(sum(rounds.map(({ accepted }) => accepted))),
    String(sum(rounds.map(({ refused }) => refused))),
    String(sum(rounds.map(({ unanswered }) => unanswered))),
    String(sum(rounds.map(({ deleted }) => deleted))),
    String(sum(rounds.map(({ chats }) => chats))),
    String(sum(rounds.map(({ applications }) => applications))),
    String(sum(rounds.map(({ accounts }) => accounts))),
    String(sum(rounds.map(({ revoked }) => revoked))),
    ...kinds.map((kind) => String(sum(rounds.map(({ findings }) => findings[kind].length)))),
    String(sum(rounds.map(({ repeated }) => repeated))),
    seconds(rounds.map(({ secondsUntilWhole }) => secondsUntilWhole)),
  ]);
  const head = [
    'fault',
    'rounds',
    'accepted',
    'refused',
    'unanswered',
    'deleted: messages',
    'chats',
    'applications',
    'accounts',
    'revoked',
    ...kinds,
    'repeated',
    'whole again after (s)',
  ];
  const widths = head.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i]?.length ?? 0)));
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))).join(' | ')} |`;
  const rule = `|${widths.map((width, i) => (i === 0 ? '-'.repeat(width + 2) : `${'-'.repeat(width + 1)}:`)).join('|')}|`;
  return [line(head), rule, ...rows.map(line)].join('\n');
};
