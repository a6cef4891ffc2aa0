import { execFile } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type * as z from 'zod';
import { routes } from '#lib/contracts/index.ts';

/*
 * Public tools read docs/openapi.json, as strangers use them: they come from their registries and lie beside the project.
 * Each one makes a client that loads.
 */

const run = promisify(execFile);
const root = resolve(import.meta.dirname, '../..');
const source = join(import.meta.dirname, 'generators');
/** Some of the tools take a path for a URL, so they cannot work in a folder with such signs. */
const isUrlSafe = !/[#%?]/.test(root);
const folder = isUrlSafe
  ? join(root, '.data/generators')
  : mkdtempSync(join(tmpdir(), 'chat-functions-generators-'));
const document = join(folder, 'openapi.json');
mkdirSync(folder, { recursive: true });
copyFileSync(join(root, 'docs/openapi.json'), document);
afterAll(() => {
  if (!isUrlSafe) rmSync(folder, { recursive: true, force: true });
});

/** Copies pinned versions into the folder. @returns whether they are installed already */
const isInstalled = (files: readonly string[], proof: string): boolean => {
  const isSame = files.every(
    (file) =>
      existsSync(join(folder, file)) &&
      readFileSync(join(folder, file), 'utf8') === readFileSync(join(source, file), 'utf8'),
  );
  mkdirSync(folder, { recursive: true });
  for (const file of files) copyFileSync(join(source, file), join(folder, file));
  return isSame && existsSync(join(folder, proof));
};

const inFolder = (program: string, args: string[], env: NodeJS.ProcessEnv = {}) =>
  run(program, args, { cwd: folder, env: { ...process.env, ...env }, maxBuffer: 64 * 1024 * 1024 });
/** A program of a package, run by the Node of this test. */
const bin = (script: string, ...args: string[]) =>
  inFolder(process.execPath, [join(folder, 'node_modules', script), ...args]);

const names = Object.keys(routes);

describe('with tools for Node', () => {
  beforeAll(async () => {
    if (isInstalled(['package.json', 'package-lock.json'], 'node_modules/.package-lock.json')) return;
    await inFolder('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund']);
  }, 300_000);

  it('Spectral finds no error by its rules for OpenAPI', async () => {
    const ruleset = join(folder, 'spectral.yaml');
    writeFileSync(ruleset, 'extends: ["spectral:oas"]\n');
    const lint = (file: string) =>
      bin(
        '@stoplight/spectral-cli/dist/index.js',
        'lint',
        file,
        '-r',
        ruleset,
        '-f',
        'json',
        '--fail-severity=error',
      );
    const { stdout } = await lint(document);
    const findings: { severity: number }[] = JSON.parse(stdout.slice(stdout.indexOf('[')));
    expect(findings.filter(({ severity }) => severity === 0)).toEqual([]);

    const broken = join(folder, 'broken.json');
    writeFileSync(broken, readFileSync(document, 'utf8').replace('"pattern": "^[', '"pattern": "^[z-a'));
    await expect(lint(broken)).rejects.toMatchObject({ code: 1 });
  });

  it('openapi-typescript makes types that compile', async () => {
    await bin('openapi-typescript/bin/cli.js', document, '--output', 'schema.ts');
    const body = "paths['/users']['post']['requestBody']['content']['application/json']";
    const program = [
      "import type { paths } from './schema.ts';",
      `export const good: ${body} = { name: 'Ada', email: 'ada@example.org', password: 'correct horse' };`,
      '// @ts-expect-error',
      `export const bad: ${body} = { name: 1 };`,
    ];
    writeFileSync(join(folder, 'use-types.ts'), program.join('\n'));
    await compile('use-types.ts');
  });

  it('@hey-api/openapi-ts makes a client with schemas that compile, load and validate', async () => {
    rmSync(join(folder, 'hey-api'), { recursive: true, force: true });
    const config = {
      input: document,
      output: { path: 'hey-api' },
      plugins: ['@hey-api/client-fetch', '@hey-api/sdk', '@hey-api/typescript', 'zod'],
    };
    writeFileSync(join(folder, 'hey-api.config.mjs'), `export default ${JSON.stringify(config)};\n`);
    await bin('@hey-api/openapi-ts/bin/run.js', '-f', 'hey-api.config.mjs');
    writeFileSync(
      join(folder, 'use-client.ts'),
      "export * from './hey-api';\nexport * from './hey-api/zod.gen';\n",
    );
    await compile('use-client.ts');

    const schemas: Record<'zSignUpBody' | 'zCreateMessageBody', z.ZodType> = await import(
      pathToFileURL(join(folder, 'hey-api/zod.gen.ts')).href
    );
    const user = { name: 'Ada Lovelace 👋', email: 'ada@example.org', password: 'correct horse' };
    expect(schemas.zSignUpBody.safeParse(user).success).toBe(true);
    for (const name of ['', ' ', '\u3000', 'a\nb', '\u0000', '\u0085', 'x'.repeat(101)])
      expect(schemas.zSignUpBody.safeParse({ ...user, name }).success, JSON.stringify(name)).toBe(false);
    expect(
      schemas.zCreateMessageBody.safeParse({ body: 'x', createdAt: '2026-03-01T09:30:00Z' }).success,
    ).toBe(true);
    expect(schemas.zCreateMessageBody.safeParse({ body: 'x', createdAt: null }).success).toBe(true);
  });

  const compile = (file: string) =>
    bin(
      ...([
        'typescript/bin/tsc',
        '--noEmit',
        '--strict',
        '--target',
        'es2022',
        '--module',
        'esnext',
      ] as const),
      ...['--moduleResolution', 'bundler', '--allowImportingTsExtensions', file],
    );
});

const python = await run('python3', ['-m', 'venv', '--help']).then(
  () => true,
  () => false,
);
if (!python)
  console.error('SKIPPED: openapi-python-client needs python3 with venv, which this machine lacks.');

it.skipIf(!python)('openapi-python-client makes a client whose every module loads', async () => {
  const venv = join(folder, 'venv');
  if (!isInstalled(['requirements.txt'], 'venv/bin/openapi-python-client')) {
    await inFolder('python3', ['-m', 'venv', '--clear', venv]);
    await inFolder(join(venv, 'bin/pip'), [
      ...['install', '--quiet', '--disable-pip-version-check', '--retries', '10'],
      ...['--requirement', 'requirements.txt'],
    ]);
  }
  const env = { PATH: `${join(venv, 'bin')}:${process.env.PATH}` };
  rmSync(join(folder, 'chat_client'), { recursive: true, force: true });
  const { stdout, stderr } = await inFolder(
    join(venv, 'bin/openapi-python-client'),
    ['generate', '--path', document, '--output-path', 'chat_client', '--meta', 'none'],
    env,
  );
  // A warning names an operation or a schema that the client lacks.
  expect(`${stdout}${stderr}`).not.toMatch(/warning|error/i);
  const load = [
    'import importlib, pkgutil, chat_client',
    'modules = [m.name for m in pkgutil.walk_packages(chat_client.__path__, "chat_client.")]',
    '[importlib.import_module(name) for name in modules]',
    'print(*modules)',
  ];
  writeFileSync(join(folder, 'load.py'), load.join('\n'));
  const { stdout: modules } = await inFolder(join(venv, 'bin/python'), ['load.py'], env);
  const snakeCase = (name: string) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  const loaded = new Set(
    modules
      .trim()
      .split(' ')
      .map((module) => module.split('.').at(-1)),
  );
  expect(names.filter((name) => !loaded.has(snakeCase(name)))).toEqual([]);
});
