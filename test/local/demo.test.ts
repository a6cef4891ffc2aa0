import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';

const program = resolve(import.meta.dirname, '../../local/demo.ts');
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'demo-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const write = async (name: string, lines: readonly unknown[]): Promise<string> => {
  const file = join(folder, name);
  await writeFile(
    file,
    lines.map((line) => (typeof line === 'string' ? line : JSON.stringify(line))).join('\n'),
  );
  return file;
};

const run = (args: string[]): Promise<{ code: number; output: string; errors: string }> =>
  new Promise((done) => {
    const child = execFile(
      process.execPath,
      [program, ...args],
      { env: { ...process.env, ...inject('functionEnvironment') } },
      (_error, output, errors) => done({ code: child.exitCode ?? -1, output, errors }),
    );
  });

const said = (chat: string, index: number, sender: string, body: string) => ({
  chat,
  sender,
  body,
  createdAt: new Date(Date.UTC(2020, 0, 1, 0, 0, index)).toISOString(),
});

describe('the demonstration', () => {
  it('replays recorded chat and finds everything as it was accepted', async () => {
    const words = ['kernel', 'partition', 'mirror', 'package', 'sound', 'e\u0301te\u0301', '日本語', '🦊'];
    const lines = ['Monday', 'Tuesday', 'Wednesday'].flatMap((chat, day) =>
      Array.from({ length: 120 - day * 30 }, (_, index) =>
        said(
          chat,
          // Some seconds are the same: the number decides then.
          Math.floor(index / 2),
          ['ada', 'grace', 'linus', 'x'.repeat(100)][index % 4] ?? '',
          `${words[index % 8]} ${index} ${words[(index * 3 + day) % 8]}\n"quoted" \\ <b>`,
        ),
      ),
    );
    const file = await write('small.ndjson', lines);

    const { code, output, errors } = await run([
      file,
      ...['--url', inject('apiUrl'), '--users', '2', '--concurrency', '3'],
    ]);

    expect(errors).toBe('');
    expect(output).toContain('signed up the 2 busiest senders, and one account for the other 2');
    expect(output).toContain('read on along the links, 2 pages of 100: all 120');
    expect(output).toContain('found by its new word');
    expect(output).toMatch(/Numbers +1…n in the order of the file, in every chat/);
    expect(output).toMatch(/Counts +3 chats, 270 messages: as accepted/);
    expect(output).toMatch(/MySQL .*missing 0, twice 0, foreign 0, changed 0/);
    expect(output).toMatch(/OpenSearch .*missing 0, twice 0, foreign 0, changed 0/);
    expect(output).toContain('Every message is stored as it was accepted.');
    expect(code).toBe(0);
  }, 120_000);

  it.each([
    ['a line that is not JSON', ['{"chat":'], 'Line 2 of .* is not JSON'],
    ['a line without a field', [{ chat: 'x', sender: 'ada', body: 'hi' }], 'Line 2 of .*"createdAt"'],
    ['an empty body', [said('x', 0, 'ada', '')], 'Line 2 of .*"body"'],
  ])('names %s', async (_, lines, expected) => {
    const file = await write('malformed.ndjson', [said('x', 0, 'ada', 'fine'), ...lines]);
    const { code, errors } = await run([file, '--url', inject('apiUrl')]);
    expect(errors).toMatch(new RegExp(expected));
    expect(errors).not.toContain('    at ');
    expect(code).toBe(1);
  });

  it('says that there is no such file', async () => {
    const { code, errors } = await run([join(folder, 'missing.ndjson'), '--url', inject('apiUrl')]);
    expect(errors).toContain('missing.ndjson cannot be read: ENOENT');
    expect(code).toBe(1);
  });

  it('says that no API answers, and how to start it', async () => {
    const file = await write('one.ndjson', [said('x', 0, 'ada', 'fine')]);
    const { code, errors } = await run([file, '--url', 'http://127.0.0.1:1']);
    expect(errors).toMatch(/No API answers at http:\/\/127\.0\.0\.1:1.*npm start/s);
    expect(code).toBe(1);
  });

  it('replays the made-up chats without a file', async () => {
    const { code, output, errors } = await run(['--url', inject('apiUrl'), '--users', '2']);
    expect(errors).toBe('');
    expect(output).toContain('sample.ndjson: 91 messages in 4 chats');
    expect(output).toContain('Every message is stored as it was accepted.');
    expect(code).toBe(0);
  }, 120_000);

  it('shows its usage for two files', async () => {
    const { code, errors } = await run(['one.ndjson', 'two.ndjson']);
    expect(errors).toContain('npm run demo -- [file.ndjson]');
    expect(code).toBe(1);
  });
});
