import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { readEnvFile } from '../../../../local/start/env-file.ts';

const folder = mkdtempSync(join(tmpdir(), 'env-file-'));
afterAll(() => rmSync(folder, { recursive: true }));

const read = (content: string | Buffer) => {
  const path = join(folder, '.env');
  writeFileSync(path, content);
  return readEnvFile(path);
};
const valuesOf = (content: string | Buffer) =>
  read(content).settings.map(({ name, value, line }) => [line, name, value]);

describe('a file of settings', () => {
  it('may be missing or empty', () => {
    expect(readEnvFile(join(folder, 'nothing'))).toEqual({ settings: [], faults: [], hints: [] });
    expect(read('\n # PORT=1\n\t\n')).toEqual({ settings: [], faults: [], hints: [] });
  });

  it.each([
    [
      'a byte order mark',
      '\uFEFFPORT=3001\nA=1',
      [
        [1, 'PORT', '3001'],
        [2, 'A', '1'],
      ],
    ],
    [
      'line ends of Windows',
      'PORT=3001\r\n\r\nA=1\r\n',
      [
        [1, 'PORT', '3001'],
        [3, 'A', '1'],
      ],
    ],
    [
      'old line ends of the Mac',
      'PORT=3001\rA=1',
      [
        [1, 'PORT', '3001'],
        [2, 'A', '1'],
      ],
    ],
    ['export', 'export PORT=3001', [[1, 'PORT', '3001']]],
    ['spaces around', '  PORT = 3001  ', [[1, 'PORT', '3001']]],
    ['spaces inside', 'A=rate(5 minutes)', [[1, 'A', 'rate(5 minutes)']]],
    [
      'an empty value',
      'A=\nB=""',
      [
        [1, 'A', ''],
        [2, 'B', ''],
      ],
    ],
    ['a comment behind a value', 'A=1 # one', [[1, 'A', '1']]],
    [
      'a comment behind a quoted value',
      `A="a # b" # "c"\nB='x#y'`,
      [
        [1, 'A', 'a # b'],
        [2, 'B', 'x#y'],
      ],
    ],
    ['an equals sign in a value', 'A=redis://h/?a=b', [[1, 'A', 'redis://h/?a=b']]],
    ['characters beyond ASCII', 'A=jürgen 👋', [[1, 'A', 'jürgen 👋']]],
    ['a quote inside', "A=it's", [[1, 'A', "it's"]]],
  ])('may hold %s', (_what, content, expected) => {
    expect(valuesOf(content)).toEqual(expected);
    expect(read(content)).toMatchObject({ faults: [], hints: [] });
  });

  it.each([
    ['A="hush\nB=2', '.env:1: A: Its first quote has no second one at the end of the line.'],
    ["B=2\nA='hush", '.env:2: A: Its first quote has no second one at the end of the line.'],
    ['A="hush" hush', '.env:1: A: Its first quote has no second one at the end of the line.'],
    ['\n\nhush', '.env:3: Expected NAME=value.'],
    ['=hush', '.env:1: Expected NAME=value.'],
    ['export hush', '.env:1: Expected NAME=value.'],
    ['my name=hush', '.env:1: Expected NAME=value.'],
  ])('with %j names the place, and takes no other line along', (content, fault) => {
    const { faults, settings } = read(content);
    expect(faults).toEqual([fault]);
    expect(faults.join()).not.toContain('hush');
    expect(settings.map(({ name }) => name)).toEqual(content.includes('B=2') ? ['B'] : []);
  });

  it.each(['A=hush#er', 'A=#hush', 'A = hush# er', 'A=a#b # c'])(
    'with %j hints at the cut value',
    (content) => {
      const { hints, faults } = read(content);
      expect(hints).toEqual(['.env:1: A: The value ends before "#". Put it in quotes if "#" belongs to it.']);
      expect(faults).toEqual([]);
    },
  );

  it('hints at a name that is set twice', () => {
    expect(read('A=1\nB=2\nA=3').hints).toEqual(['.env:3: A is set a second time. This line counts.']);
  });

  it.each([
    ['UTF-16', Buffer.from('\uFEFFPORT=3001', 'utf16le')],
    ['Latin-1', Buffer.from('A=jürgen', 'latin1')],
  ])('in %s is refused in one line', (_encoding, bytes) => {
    expect(() => read(bytes)).toThrow(/^\.env is not UTF-8 text\. Save it as UTF-8\.$/);
  });

  it('that is a folder is refused in one line', () => {
    mkdirSync(join(folder, 'folder/.env'), { recursive: true });
    expect(() => readEnvFile(join(folder, 'folder/.env'))).toThrow(/^\.env cannot be read: EISDIR.*$/);
  });
});
