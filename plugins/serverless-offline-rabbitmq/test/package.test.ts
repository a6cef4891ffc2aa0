import { execFile } from 'node:child_process';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { expect, inject, it } from 'vitest';
import { createProject, pickLambdaPort, startServerless } from './project.ts';

const run = promisify(execFile);
const packageFolder = resolve(import.meta.dirname, '..');
const environment = { ...process.env, RABBITMQ_URL: inject('brokerUrl'), SLS_TELEMETRY_DISABLED: '1' };

/** The quick start of the README: its files by name, and its commands in order. */
const readQuickStart = async () => {
  const readme = await readFile(join(packageFolder, 'README.md'), 'utf8');
  const [, section = ''] = /## Quick start\n([\s\S]*?)\n## /.exec(readme) ?? [];
  const files = [...section.matchAll(/`([\w.-]+)`:\n\n```\w+\n([\s\S]*?)```/g)];
  const commands = [...section.matchAll(/```bash\n([\s\S]*?)```/g)];
  const [, printed = ''] = /prints `(.*)`/.exec(section) ?? [];
  return {
    files: Object.fromEntries(files.map(([, name = '', content = '']) => [name, content])),
    commands: commands.flatMap(([, lines = '']) => lines.trim().split('\n')),
    printed,
  };
};

const pack = async (folder: string): Promise<string> => {
  await run('npm', ['pack', '--pack-destination', folder], { cwd: packageFolder });
  const tarball = (await readdir(folder)).find((name) => name.endsWith('.tgz'));
  return join(folder, tarball ?? 'nothing was packed');
};

it('the quick start of the README works in an empty project', { timeout: 300_000 }, async () => {
  const { files, commands, printed } = await readQuickStart();
  const [init = '', install = '', start, publish = ''] = commands;
  expect(Object.keys(files)).toEqual(['serverless.yml', 'print-order.js', 'publish.js']);
  expect(start).toBe('npx osls offline');

  const folder = await createProject({});
  await mkdir(join(folder, 'packed'));
  const tarball = await pack(join(folder, 'packed'));
  const shop = join(folder, 'shop');
  await mkdir(shop);
  const sh = (command: string) => run('sh', ['-c', command], { cwd: shop, env: environment });
  await sh(init);
  await sh(`${install.replace('serverless-offline-rabbitmq', tarball)} --prefer-offline --no-audit`);
  for (const [name, content] of Object.entries(files)) await writeFile(join(shop, name), content);

  const ports = [
    '--httpPort',
    String(await pickLambdaPort()),
    '--lambdaPort',
    String(await pickLambdaPort()),
  ];
  const offline = await startServerless(shop, 'osls', 'offline', ...ports);
  await offline.eventually(() => expect(offline.output()).toContain('RabbitMQ event source: orders'));
  await sh(publish);
  await offline.eventually(() => expect(offline.output()).toContain(printed));
  expect(offline.output()).not.toMatch(/Error|deprecat|ExperimentalWarning/i);

  const load = `
    const required = require('serverless-offline-rabbitmq');
    require('serverless-offline-rabbitmq/event-source').createBroker.call;
    import('serverless-offline-rabbitmq').then((imported) => {
      if (typeof imported.default !== 'function' || typeof required.default !== 'function') process.exit(1);
      return import('serverless-offline-rabbitmq/event-source');
    });`;
  const { stderr } = await run(process.execPath, ['-e', load], { cwd: shop });
  expect(stderr).toBe('');
});

it('npm publish --dry-run finds nothing to correct, and no source is shipped', {
  timeout: 120_000,
}, async () => {
  const { stderr } = await run('npm', ['publish', '--dry-run', '--loglevel=notice'], { cwd: packageFolder });
  const warnings = stderr.match(/npm (?:warn|error) .*/g) ?? [];
  expect(warnings.filter((line) => !line.includes('requires you to be logged in'))).toEqual([]);
  const shipped = [...stderr.matchAll(/npm notice [\d.]+ ?k?B (\S+)$/gm)].map(([, path = '']) => path);
  expect(shipped).toEqual(expect.arrayContaining(['LICENSE', 'README.md', 'CHANGELOG.md', 'package.json']));
  expect(
    shipped.filter((path) => !/^(dist|event-source)\/|^[A-Z]+(\.md)?$|^package\.json$/.test(path)),
  ).toEqual([]);
});
