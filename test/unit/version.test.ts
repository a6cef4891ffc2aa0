import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, it } from 'vitest';
import { openApiDocument } from '#lib/contracts/openapi/document.ts';
import project from '../../package.json' with { type: 'json' };

const read = (name: string) => readFileSync(join(resolve(import.meta.dirname, '../..'), name), 'utf8');

it('is one number, in package.json: the lockfile, the changelog and the OpenAPI document follow', () => {
  const { version } = project;
  const lock: { version: string; packages: Record<string, { version: string }> } = JSON.parse(
    read('package-lock.json'),
  );
  expect([lock.version, lock.packages['']?.version]).toEqual([version, version]);
  expect(/^## (\S+)/m.exec(read('CHANGELOG.md'))?.[1]).toBe(version);
  expect(openApiDocument().info.version).toBe(version);
});
