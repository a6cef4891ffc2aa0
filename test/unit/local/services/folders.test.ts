import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { isOpenToAll } from '../../../../local/services/folders.ts';

const base = mkdtempSync(join(tmpdir(), 'folders-'));
afterAll(() => rmSync(base, { recursive: true }));

it('tells whether the users of the servers can reach a folder', () => {
  const inner = join(base, 'a/b');
  mkdirSync(inner, { recursive: true });
  chmodSync(base, 0o755);
  expect(isOpenToAll(inner)).toBe(true);
  expect(isOpenToAll(join(inner, 'not made yet'))).toBe(true);
  chmodSync(join(base, 'a'), 0o700);
  expect(isOpenToAll(inner)).toBe(false);
});
