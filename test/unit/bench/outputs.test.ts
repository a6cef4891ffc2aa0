import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { beginResults } from '../../../bench/results.ts';
import type { Row } from '../../../bench/row.ts';

const checkout = resolve(import.meta.dirname, '../../..');
const folder = mkdtempSync(join(tmpdir(), 'bench-outputs-'));
afterAll(() => rmSync(folder, { recursive: true }));

const row: Row = { name: 'load', unit: 's', ours: 1 };
const publish = (markdown: string) => {
  const log = vi.spyOn(console, 'log').mockReturnValue();
  beginResults({ command: 'bench', json: undefined, markdown }).publish([row], {});
  log.mockRestore();
};

describe('the files of a bench', () => {
  it('may be new, and are written again between their marks', () => {
    const file = join(folder, 'new.md');
    publish(file);
    writeFileSync(file, `# Title\n\n${readFileSync(file, 'utf8')}\nThe end.\n`);
    publish(file);
    const text = readFileSync(file, 'utf8');
    expect(text).toMatch(
      /^# Title\n\n<!-- bench:begin [\s\S]*\| load \| 1 s \|[\s\S]*<!-- bench:end -->\n\nThe end\.\n$/,
    );
    expect(text.match(/\| load \|/g)).toHaveLength(1);
  });

  it('are not made by the check alone', () => {
    const file = join(folder, 'checked.json');
    beginResults({ command: 'bench', json: file, markdown: undefined });
    expect(existsSync(file)).toBe(false);
  });

  const withoutMarks = join(folder, 'other.md');
  writeFileSync(withoutMarks, '# Other\n');
  it.each([
    ['bench/run.ts', ['--markdown', withoutMarks], 'lacks the marks'],
    [
      'bench/run.ts',
      ['--json', join(folder, 'missing/file.json')],
      '--json names a file that cannot be written',
    ],
    [
      'bench/large-chat.ts',
      ['--markdown', join(folder, 'missing/file.md')],
      '--markdown names a file that cannot',
    ],
    ['bench/large-chat.ts', ['--markdown', folder], '--markdown names a file that cannot be written'],
    ['bench/large-chat.ts', ['--messages', 'many'], '--messages is many'],
    ['test/chaos/run.ts', ['--table', join(folder, 'missing/table.md')], '--table names a file that cannot'],
    ['test/chaos/run.ts', ['--minutes', 'two'], '--minutes is "two"'],
  ])('are checked by %s before anything starts: %j', { timeout: 60_000 }, (program, options, fault) => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [join(checkout, program), ...options], {
      encoding: 'utf8',
    });
    expect(status).toBe(1);
    expect(`${stdout}${stderr}`.trim().split('\n')).toEqual([expect.stringContaining(fault)]);
  });
});
