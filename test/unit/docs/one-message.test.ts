import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, test } from 'vitest';

const root = resolve(import.meta.dirname, '../../..');
const page = readFileSync(join(root, 'docs/one-message.md'), 'utf8');
/** Pairs of a function and its file, written as `name` (`path/to/file.ts`). */
const named = [...page.matchAll(/`(\w+)`\s+\(`([\w./-]+\.ts)`\)/g)].map(([, name = '', file = '']) => ({
  name,
  file,
}));

test.each(named)('$name is defined in $file', ({ name, file }) => {
  expect(existsSync(join(root, file)), file).toBe(true);
  const source = readFileSync(join(root, file), 'utf8');
  // A constant, or a property of the object that a factory returns.
  expect(source).toMatch(new RegExp(`(?:const ${name}\\b|^ +${name}(?:: |,$))`, 'm'));
});

test('the page names every file in this form, and enough of them to follow', () => {
  expect(named.length).toBeGreaterThan(30);
  const files = [...page.matchAll(/`((?:lib|functions)\/[\w./-]+\.ts)`/g)].map(([, file]) => file);
  expect(files).toEqual(named.map(({ file }) => file));
});
