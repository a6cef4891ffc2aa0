import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { expect, it } from 'vitest';

const root = join(import.meta.dirname, '../../../..');
const page = readFileSync(join(root, 'docs/operations.md'), 'utf8').replaceAll(/\s+/g, ' ');
/** The commands of osls with their options. */
const known: Map<string, { options: Record<string, { shortcut?: string }> }> = createRequire(import.meta.url)(
  'serverless/lib/cli/commands-schema/index.js',
);
const used = [
  ...page.matchAll(/npx sls ((?:[a-z]+ )*[a-z]+)((?: --?[a-z]+(?:[ =](?:"[^"]*"|[^-`\s][^`\s]*))?)*)/g),
].map(([, words = '', options = '']) => ({
  command: words,
  options: [...options.matchAll(/ --?([a-z]+)/g)].map(([, option = '']) => option),
}));

it('names only commands and options that osls has', () => {
  for (const { command, options } of used) {
    const found = known.get(command);
    expect(found, command).toBeDefined();
    const names = Object.entries(found?.options ?? {}).flatMap(([name, { shortcut = name }]) => [
      name,
      shortcut,
    ]);
    expect([...names, 'param'], command).toEqual(expect.arrayContaining(options));
  }
});

it('tells how to deploy, roll back and remove', () => {
  expect(used).toEqual(
    expect.arrayContaining([
      { command: 'deploy', options: ['stage'] },
      { command: 'deploy list', options: [] },
      { command: 'rollback', options: ['timestamp'] },
      { command: 'remove', options: ['stage'] },
    ]),
  );
  expect(page).toContain('aws cloudformation continue-update-rollback');
  expect(page).toContain('--param="MIGRATE=false"');
});
