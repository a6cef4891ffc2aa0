import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { connect } from 'amqplib';
import { afterAll, beforeAll, expect, inject, test, vi } from 'vitest';
import { parse, stringify } from 'yaml';
import { type SlsOffline, startSlsOffline } from '../../local/emulation/sls-offline.ts';

/*
 * `npm run dev` on a copy of this checkout with two functions of its own: one that answers requests, one that consumes a
 * queue. Both name the version of their source, and a module of lib that they use.
 */

const checkout = resolve(import.meta.dirname, '../..');
const folder = mkdtempSync(join(tmpdir(), 'chat-development-'));
const consumedFile = join(folder, 'consumed.txt');
const queue = `development-loop-${process.pid}`;
let output = '';
let api: SlsOffline;
let broker: Awaited<ReturnType<typeof connect>>;

const answerSource = 'functions/http/system/answer-version.ts';
const consumerSource = 'functions/consumers/note-version.ts';
const write = (path: string, text: string) => writeFileSync(join(folder, path), text);
const answering = (version: string) => `
  import { word } from '#lib/runtime/word.ts';
  export const handler = async () => ({ statusCode: 200, body: \`${version} \${word} \${process.pid}\` });`;
const consuming = (version: string) => `
  import { appendFileSync } from 'node:fs';
  export const handler = async () => appendFileSync(${JSON.stringify(consumedFile)}, '${version} ');`;
const wording = (word: string) => `export const word = '${word}';`;

const copyCheckout = () => {
  for (const name of ['functions', 'lib', 'plugins', 'local', 'infrastructure', 'package.json'])
    cpSync(join(checkout, name), join(folder, name), { recursive: true });
  symlinkSync(join(checkout, 'node_modules'), join(folder, 'node_modules'));
  const service = parse(readFileSync(join(checkout, 'serverless.yml'), 'utf8'));
  const { rabbitmq } = service.functions.persistChat.events[0];
  service.functions = {
    answerVersion: {
      handler: answerSource.replace('.ts', '.handler'),
      events: [{ httpApi: 'GET /version' }],
    },
    noteVersion: {
      handler: consumerSource.replace('.ts', '.handler'),
      events: [{ rabbitmq: { ...rabbitmq, queue, batchSize: 1 } }],
    },
  };
  write('serverless.yml', stringify(service));
  write(answerSource, answering('first'));
  write(consumerSource, consuming('first'));
  write('lib/runtime/word.ts', wording('red'));
};

const answer = async () => (await fetch(`${api.url}/version`)).text();
const eventually = (assertion: () => Promise<void> | void) =>
  vi.waitFor(assertion, { timeout: 30_000, interval: 50 });

beforeAll(async () => {
  copyCheckout();
  broker = await connect(inject('functionEnvironment').RABBITMQ_URL ?? '');
  const channel = await broker.createChannel();
  await channel.assertQueue(queue, { durable: true, arguments: { 'x-queue-type': 'quorum' } });
  api = await startSlsOffline({
    environment: { ...process.env, ...inject('functionEnvironment') },
    folder,
    watch: true,
    readiness: { path: '/version', accepts: (status) => status === 200 },
    onOutput: (text) => {
      output += text;
    },
  });
});

afterAll(async () => {
  await api?.stop();
  const channel = await broker?.createChannel();
  await channel?.deleteQueue(queue);
  await broker?.close();
  rmSync(folder, { recursive: true, force: true });
});

const publish = async () => {
  const channel = await broker.createConfirmChannel();
  channel.sendToQueue(queue, Buffer.from('{}'));
  await channel.waitForConfirms();
  await channel.close();
};

test('an edited function answers with its new code, in the same process', async () => {
  expect(await answer()).toBe(`first red ${api.pid}`);
  write(answerSource, answering('second'));
  await eventually(async () => expect(await answer()).toBe(`second red ${api.pid}`));
});

test('an edited module of lib reaches the functions that use it', async () => {
  write('lib/runtime/word.ts', wording('blue'));
  await eventually(async () => expect(await answer()).toBe(`second blue ${api.pid}`));
});

test('an edited consumer handles the next batch', async () => {
  await publish();
  await eventually(() => expect(readFileSync(consumedFile, 'utf8')).toBe('first '));
  output = '';
  write(consumerSource, consuming('second'));
  // The line of the call before may come late.
  await eventually(() => expect(output).toMatch(/Reloaded in .*noteVersion/));
  await publish();
  await eventually(() => expect(readFileSync(consumedFile, 'utf8')).toBe('first second '));
});

test.each([
  ['does not compile', 'export const handler = (', answerSource],
  ['fails when it is loaded', `${answering('broken')} throw new Error('no such luck');`, 'no such luck'],
])('an edit that %s is reported, and the previous code stays', async (_, source, named) => {
  output = '';
  write(answerSource, source);
  await eventually(() => expect(output).toContain('Not reloaded'));
  expect(output).toContain(named);
  expect(await answer()).toBe(`second blue ${api.pid}`);
});

test('the next good edit is live again', async () => {
  write(answerSource, answering('third'));
  await eventually(async () => expect(await answer()).toBe(`third blue ${api.pid}`));
});
