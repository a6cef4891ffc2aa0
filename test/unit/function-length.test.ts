import { globSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';

const root = resolve(import.meta.dirname, '../..');
const folders = '{lib,functions,plugins,local,bench,test/support}';
/** Lines of functions inside a function are their own, so a factory may return many short ones. */
const MOST_LINES = 60;

type Measured = { place: string; lines: number };

/** @returns the functions of a source file, each with its lines less those of the functions inside it */
const measure = (file: string, text: string): Measured[] => {
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true);
  const lineOf = (position: number) => source.getLineAndCharacterOfPosition(position).line + 1;
  const measured: Measured[] = [];
  /** @returns the lines of the functions in this node */
  const visit = (node: ts.Node): number => {
    let inside = 0;
    ts.forEachChild(node, (child) => {
      inside += visit(child);
    });
    if (!ts.isFunctionLike(node)) return inside;
    const from = lineOf(node.getStart());
    const lines = lineOf(node.end) - from + 1;
    measured.push({ place: `${file}:${from}`, lines: lines - inside });
    // A function of one line takes none from the function around it.
    return lines - 1;
  };
  visit(source);
  return measured;
};

describe('the lines of a function', () => {
  const text = ['const outer = () => {', '  const inner = () => {', '    call();', '  };', '};'].join('\n');

  it('exclude the functions inside it', () => {
    expect(measure('a.ts', text)).toEqual([
      { place: 'a.ts:2', lines: 3 },
      { place: 'a.ts:1', lines: 3 },
    ]);
  });

  it(`are at most ${MOST_LINES}`, { timeout: 60_000 }, () => {
    const files = globSync(`${folders}/**/*.{ts,mjs}`, {
      cwd: root,
      exclude: (path) => /(^|\/)(dist|node_modules)$/.test(path),
    });
    expect(files.length).toBeGreaterThan(200);
    const functions = files.flatMap((file) => measure(file, readFileSync(join(root, file), 'utf8')));
    expect(functions.filter(({ lines }) => lines > MOST_LINES)).toEqual([]);
  });
});
