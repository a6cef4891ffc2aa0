import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { Failure } from '../local/services/index.ts';

export type Unit = '/s' | 'µs' | 'ms' | 's' | 'MB' | '';
/** The goal of the ratio if the row has one, else of our value. */
export type Goal = { of: 'ratio' | 'ours' } & ({ atLeast: number } | { atMost: number });

export type Row = {
  name: string;
  unit: Unit;
  ours: number;
  /** The limit or the peer, measured in the same run, in the same unit. */
  peer?: { name: string; value: number };
  ratio?: number;
  goal?: Goal;
};

/** @returns undefined for a row without a goal */
export const isMet = ({ ours, ratio, goal }: Row): boolean | undefined => {
  if (goal === undefined) return undefined;
  const value = goal.of === 'ratio' ? (ratio ?? Number.NaN) : ours;
  return 'atLeast' in goal ? value >= goal.atLeast : value <= goal.atMost;
};

const numberText = (value: number): string =>
  value >= 100 || Number.isInteger(value)
    ? Math.round(value).toLocaleString('en')
    : value.toFixed(value < 10 ? 2 : 1);
const withUnit = (value: number, unit: Unit): string =>
  unit === '/s' ? `${numberText(value)}/s` : `${numberText(value)} ${unit}`.trim();

const goalText = ({ goal, unit }: Row): string => {
  if (goal === undefined) return '';
  const [sign, value] = 'atLeast' in goal ? ['≥', goal.atLeast] : ['≤', goal.atMost];
  return `${sign} ${goal.of === 'ratio' ? value : withUnit(value, unit)}`;
};

const header = ['row', 'ours', 'limit or peer', '', 'ratio', 'goal', 'met'];

const cellsOf = (row: Row): string[] => [
  row.name,
  withUnit(row.ours, row.unit),
  row.peer === undefined ? '' : withUnit(row.peer.value, row.unit),
  row.peer?.name ?? '',
  row.ratio?.toFixed(2) ?? '',
  goalText(row),
  { true: 'yes', false: 'NO', undefined: '' }[`${isMet(row)}`],
];

/** For a terminal: names to the left, numbers to the right. */
export const table = (rows: readonly Row[]): string => {
  const cells = [header, ...rows.map(cellsOf)];
  const widths = header.map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));
  const isText = (column: number) => column === 0 || column === 3;
  return cells
    .map((row) =>
      row
        .map((cell, column) =>
          isText(column) ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
        )
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
};

const markdownOf = (rows: readonly Row[]): string =>
  [header, ['---', '---:', '---:', '---', '---:', '---:', '---'], ...rows.map(cellsOf)]
    .map((cells) => `| ${cells.join(' | ')} |`)
    .join('\n');

const marksOf = (command: string) => ({
  begin: `<!-- ${command}:begin (npm run ${command} -- --markdown <file> writes this table) -->`,
  end: `<!-- ${command}:end -->`,
});

/** A Markdown file, split at the command's two marks. A new file has nothing but them. @throws Failure without a mark */
const readMarked = (file: string, command: string) => {
  const marks = marksOf(command);
  const text = existsSync(file) ? readFileSync(file, 'utf8') : `${marks.begin}\n${marks.end}\n`;
  const [begin, end] = [text.indexOf(marks.begin), text.indexOf(marks.end)];
  if (begin < 0 || end < begin)
    throw new Failure(`${file} lacks the marks "${marks.begin}" and "${marks.end}".`);
  return { before: text.slice(0, begin), marks, after: text.slice(end) };
};

/** @throws Failure if the file exists and lacks a mark of the command */
export const checkMarks = (file: string, command: string): void => void readMarked(file, command);

/** Writes the text between the command's two marks of a Markdown file. @throws Failure if the file lacks a mark */
export const writeMarkdown = (
  file: string,
  { command, caption, rows }: { command: string; caption: string; rows: readonly Row[] },
): void => {
  const { before, marks, after } = readMarked(file, command);
  writeFileSync(file, `${before}${marks.begin}\n${caption}\n\n${markdownOf(rows)}\n${after}`);
};
