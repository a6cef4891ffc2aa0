import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';

/*
 * The first command in a fresh clone: npm's own installation in a small project that has this project's installer, its
 * scripts, and packages that are made and installed as the real ones are, from files instead of a registry.
 */

const checkout = resolve(import.meta.dirname, '../..');
const run = promisify(execFile);
const base = mkdtempSync(join(tmpdir(), 'chat-install-'));
const template = join(base, 'template');
const clones: string[] = [];
const children: ChildProcess[] = [];

/** As the package `node` does, this one makes its program in an install script. It may take its time. */
const makeNode = `
  const { appendFileSync, mkdirSync, symlinkSync, writeFileSync } = require('node:fs');
  if (process.env.NOTE_PID) appendFileSync(process.env.NOTE_PID, process.pid + ' ');
  setTimeout(() => {
    mkdirSync('bin', { recursive: true });
    symlinkSync(process.execPath, 'bin/node');
  }, Number(process.env.SLOW_MS ?? 0));`;

const files: Record<string, string | object> = {
  'packages/node/package.json': {
    name: 'node',
    version: '24.0.0',
    bin: { node: 'bin/node' },
    scripts: { preinstall: 'node make.cjs' },
  },
  'packages/node/make.cjs': makeNode,
  'packages/tool/package.json': { name: 'tool', version: '1.0.0' },
  'plugins/serverless-offline-rabbitmq/package.json': {
    name: 'serverless-offline-rabbitmq',
    version: '0.1.0',
  },
  'plugins/serverless-offline-rabbitmq/build.mjs': '',
  'start.mjs': "console.log('started on ' + process.argv0, process.env.NODE_ENV ?? '');",
  'package.json': {
    name: 'fresh-clone',
    version: '1.0.0',
    private: true,
    workspaces: ['plugins/serverless-offline-rabbitmq'],
    scripts: { start: 'node local/install.mjs && node_modules/.bin/node start.mjs' },
    allowScripts: { node: true },
    devDependencies: {
      node: 'file:packages/node-24.0.0.tgz',
      'serverless-offline-rabbitmq': '^0.1.0',
    },
    optionalDependencies: { tool: 'file:packages/tool-1.0.0.tgz' },
  },
};

/** Without the settings that the npm of this test run hands on. */
const machine = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !/^npm_|^NODE_ENV$|^VITEST/i.test(name)),
);
const path = (process.env.PATH ?? '').split(':').filter((folder) => !folder.includes('node_modules'));
const environmentOf = (settings: Record<string, string>) => ({
  ...machine,
  PATH: path.join(':'),
  ...settings,
});

beforeAll(async () => {
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(join(template, name, '..'), { recursive: true });
    writeFileSync(join(template, name), typeof content === 'string' ? content : JSON.stringify(content));
  }
  mkdirSync(join(template, 'local'));
  cpSync(join(checkout, 'local/install.mjs'), join(template, 'local/install.mjs'));
  cpSync(join(checkout, '.npmrc'), join(template, '.npmrc'));
  for (const name of ['node', 'tool'])
    await run('npm', ['pack', `./${name}`], { cwd: join(template, 'packages'), env: environmentOf({}) });
  await run('npm', ['install', '--package-lock-only'], { cwd: template, env: environmentOf({}) });
});

afterEach(() => {
  for (const child of children.splice(0)) if (child.exitCode === null) child.kill('SIGKILL');
});
afterAll(() => rmSync(base, { recursive: true, force: true }));

const clone = (name = 'clone'): string => {
  const folder = join(base, `${clones.length}`, name);
  clones.push(folder);
  cpSync(template, folder, { recursive: true });
  return folder;
};

type Started = { child: ChildProcess; output: () => string; ended: Promise<unknown[]> };

/** `npm start` in a process group of its own, as at a terminal. */
const npmStart = (
  folder: string,
  settings: Record<string, string> = {},
  args: string[] = ['start'],
): Started => {
  const child = spawn('npm', args, {
    cwd: folder,
    env: environmentOf(settings),
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  children.push(child);
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  return { child, output: () => output, ended: once(child, 'close') };
};

const isRunning = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};
const eventually = (assertion: () => void) => vi.waitFor(assertion, { timeout: 60_000, interval: 50 });

describe('npm start in a fresh clone installs and starts', () => {
  it.each([
    ['NODE_ENV=production', { NODE_ENV: 'production' }, ''],
    ['omit', { npm_config_omit: 'dev' }, 'omit[]=dev\nomit[]=optional\nomit[]=peer\n'],
    ['production', { npm_config_production: 'true' }, 'production=true\n'],
    ['only', {}, 'only=prod\n'],
    ['global', {}, 'global=true\n'],
    ['location', {}, 'location=global\n'],
    ['prefix', { npm_config_prefix: '/nonexistent/prefix' }, ''],
    ['package-lock', {}, 'package-lock=false\n'],
    ['engine-strict', {}, 'engine-strict=true\n'],
    ['bin-links', {}, 'bin-links=false\n'],
    ['install-strategy', {}, 'install-strategy=nested\n'],
    ['legacy-peer-deps', {}, 'legacy-peer-deps=true\nstrict-peer-deps=true\n'],
    ['dry-run', {}, 'dry-run=true\n'],
    ['loglevel', {}, 'loglevel=silent\n'],
    ['install-links', {}, 'install-links=true\n'],
  ])('with the npm setting %s', async (_name, settings, npmrc) => {
    const userconfig = join(base, `npmrc-${clones.length}`);
    writeFileSync(userconfig, npmrc);
    const folder = clone();
    const start = npmStart(folder, { ...settings, npm_config_userconfig: userconfig });
    expect(await start.ended, start.output()).toEqual([0, null]);
    expect(start.output()).toContain('started on');
    expect(existsSync(join(folder, 'node_modules/tool/package.json'))).toBe(true);
    // And nothing to do the second time.
    const again = npmStart(folder, { ...settings, npm_config_userconfig: userconfig });
    expect(await again.ended, again.output()).toEqual([0, null]);
    expect(again.output()).not.toContain('npm ci');
  });

  it.each(['my chat ünï#1%20', `it's "quoted" $HOME`, 'a&b;c|d', '[x]{y}(z)', '-dash', '日本語 👋'])(
    'in the folder %s',
    async (name) => {
      const start = npmStart(clone(name));
      expect(await start.ended, start.output()).toEqual([0, null]);
      expect(start.output()).toContain('started on');
    },
  );

  it('from another folder', async () => {
    const folder = clone('my chat');
    const start = npmStart('/', {}, ['--prefix', folder, 'start']);
    expect(await start.ended, start.output()).toEqual([0, null]);
  });
});

describe('npm start ends with one line', () => {
  it.each([
    ['a file', {}, 'ignore-scripts=true\n'],
    ['a variable', { npm_config_ignore_scripts: 'true' }, ''],
  ])('where %s sets ignore-scripts', async (_where, settings, npmrc) => {
    const userconfig = join(base, `npmrc-${clones.length}`);
    writeFileSync(userconfig, npmrc);
    const start = npmStart(clone(), {
      ...settings,
      npm_config_userconfig: userconfig,
      npm_config_loglevel: 'silent',
    });
    expect((await start.ended)[0]).toBe(1);
    expect(start.output().trim()).toMatch(/^The npm setting ignore-scripts is true.*$/);
  });

  it('where a setting leaves out the package of this repository', async () => {
    const start = npmStart(clone(), { npm_config_workspaces: 'false', npm_config_loglevel: 'silent' });
    expect((await start.ended)[0]).toBe(1);
    expect(start.output().trim().split('\n').at(-1)).toMatch(
      /^npm ci has left packages out.*workspaces=false/,
    );
  });

  it.each(['a:b', 'a*b'])('in the folder %s, in which npm or Node finds no programs', async (name) => {
    const start = npmStart(clone(name), { npm_config_loglevel: 'silent' });
    expect((await start.ended)[0]).toBe(1);
    expect(start.output().trim()).toMatch(/^The path of this folder has a "[:*]".*$/);
  });

  it('after what npm says, where its cache cannot be written', async () => {
    const start = npmStart(clone(), { npm_config_cache: '/dev/null/cache' });
    expect((await start.ended)[0]).toBe(1);
    expect(start.output()).toContain('/dev/null/cache');
    expect(start.output()).toContain('The packages could not be installed');
    expect(start.output()).not.toMatch(/^ +at /m);
  });
});

describe('while packages are being installed', () => {
  const begin = async (folder: string) => {
    const notes = join(folder, 'pids.txt');
    const start = npmStart(folder, { SLOW_MS: '120000', NOTE_PID: notes });
    await eventually(() => expect(existsSync(notes), start.output()).toBe(true));
    const scripts = () => readFileSync(notes, 'utf8').trim().split(' ').map(Number);
    await eventually(() => expect(scripts().length).toBeGreaterThan(0));
    const lock = readFileSync(join(folder, '.data/install.lock'), 'utf8').split(' ').map(Number);
    return { start, pids: [...lock, ...scripts()] };
  };

  it.each([
    ['Ctrl-C', 'SIGINT'],
    ['a closed terminal', 'SIGHUP'],
  ] as const)('%s ends npm and its scripts, and the next start installs all', async (_what, signal) => {
    const folder = clone();
    const { start, pids } = await begin(folder);
    expect(pids).toHaveLength(3);
    process.kill(-(start.child.pid ?? 0), signal);
    await start.ended;
    await eventually(() => expect(pids.filter(isRunning)).toEqual([]));
    expect(existsSync(join(folder, '.data/install.lock'))).toBe(false);
    const next = npmStart(folder);
    expect(await next.ended, next.output()).toEqual([0, null]);
    expect(next.output()).toContain('started on');
  });

  it('a signal to npm alone ends all as well', async () => {
    const { start, pids } = await begin(clone());
    start.child.kill('SIGTERM');
    await eventually(() => expect(pids.filter(isRunning)).toEqual([]));
  });

  it('a second start says that it waits, and goes on after the first', async () => {
    const folder = clone();
    const first = npmStart(folder, { SLOW_MS: '3000', NOTE_PID: join(folder, 'pids.txt') });
    await eventually(() => expect(existsSync(join(folder, 'pids.txt'))).toBe(true));
    const second = npmStart(folder);
    await eventually(() => expect(second.output()).toContain('waiting for another installation of packages'));
    expect(await first.ended, first.output()).toEqual([0, null]);
    expect(await second.ended, second.output()).toEqual([0, null]);
    expect(second.output()).not.toContain('installing packages');
  });

  it('a start after a killed one waits for the npm that it left', async () => {
    const folder = clone();
    const notes = join(folder, 'pids.txt');
    npmStart(folder, { SLOW_MS: '3000', NOTE_PID: notes });
    await eventually(() => expect(existsSync(notes)).toBe(true));
    const [installer = 0] = readFileSync(join(folder, '.data/install.lock'), 'utf8').split(' ').map(Number);
    process.kill(installer, 'SIGKILL');
    const next = npmStart(folder);
    expect(await next.ended, next.output()).toEqual([0, null]);
    expect(next.output()).toContain('started on');
  });
});
