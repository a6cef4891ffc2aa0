// Runs dependency-cruiser, which misreads `#`, `?` and `%` in the path of the checkout: from there it gets a copy.
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';

const checkout = resolve(import.meta.dirname, '..');
const rooms = ['functions', 'lib', 'plugins', 'local', 'test', 'bench'];
const configuration = '.dependency-cruiser.mjs';
const generated = new Set(['node_modules', 'dist']);

const cruise = (folder: string, ...options: string[]): number => {
  const { status } = spawnSync(
    process.execPath,
    [
      join(checkout, 'node_modules/.bin/depcruise'),
      ...['--config', configuration, '--output-type', 'err', ...options, ...rooms],
    ],
    { cwd: folder, stdio: 'inherit' },
  );
  return status ?? 1;
};

const cruiseCopy = (): number => {
  const folder = mkdtempSync(join(tmpdir(), 'chat-imports-'));
  try {
    for (const name of [...rooms, configuration, 'package.json', 'tsconfig.json', 'vitest.config.ts'])
      cpSync(join(checkout, name), join(folder, name), {
        recursive: true,
        filter: (path) => !generated.has(basename(path)),
      });
    symlinkSync(join(checkout, 'node_modules'), join(folder, 'node_modules'));
    return cruise(folder, '--preserve-symlinks');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
};

process.exitCode = /[#?%]/.test(checkout) ? cruiseCopy() : cruise(checkout);
