import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, inject, test, vi } from 'vitest';
import { parse, stringify } from 'yaml';
import { pickPort, releasePort } from '../../local/services/index.ts';

/*
 * `npm run dev` itself, in a copy of this checkout and on the servers of this run: it follows serverless.yml, and shows
 * what a developer wants to see.
 */

const checkout = resolve(import.meta.dirname, '../..');
const folder = mkdtempSync(join(tmpdir(), 'chat-development-'));
let port: number;
let socketPort: number;
let dev: ChildProcess;
let output = '';

const service = parse(readFileSync(join(checkout, 'serverless.yml'), 'utf8'));
const all = service.functions;
const writeService = (functions: object) => {
  service.functions = { getHealth: all.getHealth, ...functions };
  writeFileSync(join(folder, 'serverless.yml'), stringify(service));
};
const write = (path: string, text: string) => writeFileSync(join(folder, path), text);
const eventually = (assertion: () => Promise<void> | void) =>
  vi.waitFor(assertion, { timeout: 120_000, interval: 100 });
const statusOf = async (path: string): Promise<number> =>
  (await fetch(`http://127.0.0.1:${port}${path}`)).status;

beforeAll(async () => {
  for (const name of ['functions', 'lib', 'plugins', 'local', 'migrations', 'infrastructure', 'package.json'])
    cpSync(join(checkout, name), join(folder, name), { recursive: true });
  symlinkSync(join(checkout, 'node_modules'), join(folder, 'node_modules'));
  write(
    'functions/http/system/say.ts',
    `export const handler = async () => {
       console.log('{"_aws":{"Timestamp":1}}');
       console.log('said');
       return { statusCode: 418, body: '' };
     };`,
  );
  writeService({});
  port = await pickPort(undefined);
  socketPort = await pickPort(undefined);
  dev = spawn(process.execPath, [join(folder, 'local/start.ts'), '--watch'], {
    cwd: folder,
    env: {
      ...process.env,
      ...inject('functionEnvironment'),
      PORT: `${port}`,
      WEBSOCKET_PORT: `${socketPort}`,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  for (const stream of [dev.stdout, dev.stderr])
    stream?.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  await eventually(() => expect(output).toContain('The API is at'));
}, 150_000);

afterAll(async () => {
  if (dev?.exitCode === null) {
    const ended = once(dev, 'exit');
    dev.kill('SIGTERM');
    await ended;
  }
  releasePort(port);
  releasePort(socketPort);
  rmSync(folder, { recursive: true, force: true });
});

const say = { handler: 'functions/http/system/say.handler', events: [{ httpApi: 'GET /say/{word}' }] };
const token = 'a'.repeat(24);

test('a route that serverless.yml gets answers without a restart of npm run dev', {
  timeout: 150_000,
}, async () => {
  expect(await statusOf('/say/hello')).not.toBe(418);
  writeService({ say });
  await eventually(async () => expect(await statusOf('/say/hello')).toBe(418));
  await eventually(() => expect(output).toMatch(/serverless\.yml has changed\n[\s\S]*✓ the API answers/));
  expect(dev.exitCode).toBeNull();
});

test('each answer is one line with status and milliseconds, without a query, an application token or metrics', async () => {
  output = '';
  await statusOf(`/say/${token}?word=${token}`);
  await statusOf('/health');
  await eventually(() => expect(output).toMatch(/^GET \/health 200 \d+ ms$/m));
  expect(output).toMatch(/^GET \/say\/\{token\} 418 \d+ ms$/m);
  expect(output).toMatch(/^said$/m);
  expect(output).not.toContain(token);
  expect(output).not.toContain('_aws');
  expect(output.match(/\/health/g)).toHaveLength(1);
});

test('a serverless.yml that does not start is reported, and the next good one is served', {
  timeout: 300_000,
}, async () => {
  const good = readFileSync(join(folder, 'serverless.yml'), 'utf8');
  write('serverless.yml', `${good}\n  - not yaml: [`);
  await eventually(() =>
    expect(output).toContain('The API is down until the next change of serverless.yml.'),
  );
  write('serverless.yml', good);
  await eventually(async () => expect(await statusOf('/say/again')).toBe(418));
  expect(dev.exitCode).toBeNull();
});
