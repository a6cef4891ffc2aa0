import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, inject, it } from 'vitest';
import { pickLambdaPort, root, startServerless } from './project.ts';

const run = promisify(execFile);
const packageFolder = resolve(import.meta.dirname, '..');
const environment = { ...process.env, RABBITMQ_URL: inject('brokerUrl'), SLS_TELEMETRY_DISABLED: '1' };

/** A section of the README: its files by name, its other examples by language, and its commands in order. */
const readSection = async (title: string) => {
  const readme = await readFile(join(packageFolder, 'README.md'), 'utf8');
  const [, section = ''] = new RegExp(`## ${title}\\n([\\s\\S]*?)\\n## `).exec(readme) ?? [];
  const files = [...section.matchAll(/`([\w.-]+)`:\n\n```\w+\n([\s\S]*?)```/g)];
  const commands = [...section.matchAll(/```bash\n([\s\S]*?)```/g)];
  const [, printed = ''] = /prints `(.*)`/.exec(section) ?? [];
  return {
    files: Object.fromEntries(files.map(([, name = '', content = '']) => [name, content])),
    example: (language: string) =>
      new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``).exec(section)?.[1] ?? '',
    commands: commands.flatMap(([, lines = '']) => lines.trim().split('\n')),
    printed,
  };
};

const pack = async (folder: string): Promise<string> => {
  await run('npm', ['pack', '--pack-destination', folder], { cwd: packageFolder });
  const tarball = (await readdir(folder)).find((name) => name.endsWith('.tgz'));
  return join(folder, tarball ?? 'nothing was packed');
};

describe('in an empty project, by the README alone', () => {
  let shop: string;
  let installed: string;
  const sh = (command: string) => run('sh', ['-c', command], { cwd: shop, env: environment });
  const write = async (files: Record<string, string>) => {
    for (const [name, content] of Object.entries(files)) await writeFile(join(shop, name), content);
  };
  const startShop = async () =>
    startServerless(shop, 'serverless', 'offline', '--lambdaPort', String(await pickLambdaPort()));

  beforeAll(async () => {
    const folder = await mkdtemp(join(tmpdir(), 'serverless-offline-rabbitmq-'));
    shop = join(folder, 'my shop');
    await mkdir(shop);
    const tarball = await pack(folder);
    const { commands, files } = await readSection('Quick start');
    const [init = '', install = ''] = commands;
    await sh(init);
    const { stdout, stderr } = await sh(
      `${install.replace(' serverless-offline-rabbitmq', ` "${tarball}"`)} --prefer-offline --no-audit`,
    );
    installed = stdout + stderr;
    await write(files);
    return () => rm(folder, { recursive: true, force: true });
  }, 300_000);

  it('the installation warns of nothing, and brings osls as serverless', async () => {
    expect(installed).toContain('added ');
    expect(installed).not.toMatch(/warn|deprecat/i);
    const lock = JSON.parse(await readFile(join(shop, 'package-lock.json'), 'utf8'));
    const frameworks = Object.entries<{ name?: string }>(lock.packages).filter(([path]) =>
      /(^|\/)(serverless|osls)$/.test(path),
    );
    expect(frameworks).toEqual([['node_modules/serverless', expect.objectContaining({ name: 'osls' })]]);
    const manifest = JSON.parse(
      await readFile(join(shop, 'node_modules/serverless-offline-rabbitmq/package.json'), 'utf8'),
    );
    expect(Object.keys(manifest.scripts)).toEqual(['prepack']);
  });

  it('the quick start prints its line', async () => {
    const { files, commands, printed } = await readSection('Quick start');
    expect(Object.keys(files)).toEqual(['serverless.yml', 'print-order.js', 'publish.js']);
    const [, , start, publish = '', ...others] = commands;
    expect([start, others]).toEqual(['npx serverless offline', []]);
    expect(await realpath(join(shop, 'node_modules/.bin/serverless'))).toBe(
      await realpath(join(shop, 'node_modules/serverless/bin/serverless.js')),
    );
    const offline = await startShop();
    await offline.eventually(() => expect(offline.output()).toContain('RabbitMQ event source: orders'));
    await sh(publish);
    await offline.eventually(() => expect(offline.output()).toContain(printed));
    expect(offline.output()).not.toMatch(/Error|deprecat|ExperimentalWarning/i);
  });

  it('every option of the configuration is taken, and an unknown one is refused in one line', async () => {
    const { files } = await readSection('Quick start');
    const { example } = await readSection('Configuration');
    const config = files['serverless.yml'] ?? '';
    const custom = example('yaml').replaceAll(/amqp:\S+/g, () => inject('brokerUrl'));
    const withCustom = (text: string) => config.replace(/custom:\n( .*\n)+/, text);
    await write({ 'serverless.yml': withCustom(custom) });
    const offline = await startShop();
    await offline.eventually(() => expect(offline.output()).toContain('RabbitMQ event source: orders'));
    expect(offline.output()).not.toMatch(/Error/);

    await write({ 'serverless.yml': withCustom(custom.replace('autoCreate', 'autocreate')) });
    const refused = await startShop();
    await once(refused.process, 'exit');
    expect(refused.output()).toContain(
      'serverless.yml: custom.serverless-offline-rabbitmq.autocreate is unknown; the options are url, urls,',
    );
    expect(refused.output()).not.toMatch(/^\s+at /m);
    await write({ 'serverless.yml': config });
  });

  it('the types compile, and both kinds of modules load', async () => {
    const { commands, files } = await readSection('Types');
    await write(files);
    for (const command of commands) {
      const { stdout, stderr } = await sh(command);
      expect(stdout + stderr).not.toMatch(/error|warn/i);
    }
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

  it('the event source feeds a handler without serverless-offline', async () => {
    const { printed } = await readSection('Quick start');
    const { files } = await readSection('Tests of your own');
    expect(Object.keys(files)).toEqual(['consume-once.mjs']);
    await write(files);
    await sh('node publish.js');
    const { stdout, stderr } = await sh('node consume-once.mjs');
    expect([stdout.trim(), stderr]).toEqual([printed, '']);
  });

  it('npm refuses Serverless Framework 3 beside serverless-offline 14', async () => {
    const install = sh('npm install --dry-run --no-save --prefer-offline serverless@3 serverless-offline@14');
    await expect(install).rejects.toThrow('ERESOLVE');
  });
});

it('the package and the repository name one home', async () => {
  const read = async (folder: string) => JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'));
  const [repository, plugin] = await Promise.all([read(root), read(packageFolder)]);
  expect(plugin.repository).toEqual({
    ...repository.repository,
    directory: relative(root, packageFolder),
  });
  expect(plugin.bugs).toEqual(repository.bugs);
  expect(plugin.homepage).toBe(
    repository.homepage.replace('#readme', `/tree/main/${plugin.repository.directory}#readme`),
  );
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
