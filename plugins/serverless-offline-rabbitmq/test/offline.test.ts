import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { type ChannelModel, type ConfirmChannel, connect } from 'amqplib';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, it, vi } from 'vitest';
import { pickPort } from '../../../local/services/index.ts';

const root = resolve(import.meta.dirname, '../../..');
const brokerUrl = inject('brokerUrl');

/** Each line shows the event that the handler got. The first message selects the handler's behaviour. */
const HANDLER = `
interface Event { rmqMessagesByQueue: Record<string, { redelivered: boolean; data: string }[]> }

export const handler = async (event: Event) => {
  const records = Object.values(event.rmqMessagesByQueue).flat();
  const bodies = records.map(({ data }) => Buffer.from(data, 'base64').toString());
  const again = records[0]?.redelivered;
  console.log('HAD ' + JSON.stringify({ bodies, again }));
  if (bodies[0] === 'throw' && !again) throw new Error('thrown on purpose');
  if (bodies[0] === 'hang' && !again) await new Promise(() => {});
  if (bodies[0] === 'exit' && !again) process.exit(1);
  if (bodies[0] === 'kill' && !again) process.kill(process.pid, 'SIGKILL');
  if (bodies[0] === 'slow') await new Promise((done) => setTimeout(done, 1000));
  console.log('DONE ' + bodies[0]);
};
`;

const config = (useInProcess: boolean, lambdaPort: number) => `
service: fixture
provider: { name: aws, runtime: nodejs24.x, region: eu-west-1 }
plugins:
  - ./bundler/index.ts
  - serverless-offline-rabbitmq
  - serverless-offline
custom:
  serverless-offline-rabbitmq: { url: "\${env:RABBITMQ_URL}" }
  serverless-offline: { lambdaPort: ${lambdaPort}, useInProcess: ${useInProcess} }
functions:
  consume:
    handler: functions/consume.handler
    timeout: 2
    events:
      - rabbitmq:
          arn: arn:aws:mq:us-east-1:123456789012:broker:chat:b-1234
          basicAuthArn: arn:aws:secretsmanager:us-east-1:123456789012:secret:chat
          queue: ${queue}
          maximumBatchingWindow: 1
`;

let connection: ChannelModel;
let channel: ConfirmChannel;
let queue: string;
let folder: string;
let offline: ChildProcess;
let output: string;

beforeAll(async () => {
  connection = await connect(brokerUrl);
  channel = await connection.createConfirmChannel();
});
afterAll(() => connection.close());

beforeEach(async () => {
  queue = `offline-${randomUUID()}`;
  folder = await mkdtemp(join(tmpdir(), 'rabbitmq-event-source-'));
  await mkdir(join(folder, 'functions'));
  await mkdir(join(folder, 'lib/runtime'), { recursive: true });
  await symlink(join(root, 'node_modules'), join(folder, 'node_modules'));
  await symlink(join(root, 'plugins/bundler'), join(folder, 'bundler'));
  await writeFile(
    join(folder, 'package.json'),
    '{"name":"fixture","type":"module","private":true,"imports":{"#lib/*":"./lib/*"}}',
  );
  // The bundler renews the services of an edited function.
  await writeFile(join(folder, 'lib/runtime/lazy.ts'), 'export const renewServices = () => {};\n');
  await writeFile(join(folder, 'functions/consume.ts'), HANDLER);
});
afterEach(async () => {
  if (offline.exitCode === null && offline.signalCode === null) {
    offline.kill('SIGKILL');
    await once(offline, 'exit');
  }
  await channel.deleteQueue(queue);
  await rm(folder, { recursive: true, force: true });
});

const startOffline = async (command: string[], useInProcess: boolean) => {
  await writeFile(join(folder, 'serverless.yml'), config(useInProcess, await pickPort(undefined)));
  output = '';
  offline = spawn(process.execPath, [join(root, 'node_modules/serverless/bin/serverless.js'), ...command], {
    cwd: folder,
    env: { ...process.env, RABBITMQ_URL: brokerUrl, SLS_TELEMETRY_DISABLED: '1' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  offline.stdout?.on('data', (chunk) => {
    output += chunk;
  });
  offline.stderr?.on('data', (chunk) => {
    output += chunk;
  });
};

const publish = async (...bodies: string[]) => {
  for (const body of bodies) channel.sendToQueue(queue, Buffer.from(body), { persistent: true });
  await channel.waitForConfirms();
};

/** The batches that the handler was called with, in order. */
const batches = () =>
  [...output.matchAll(/HAD (.*)/g)].map(
    ([, json]) => JSON.parse(json ?? '') as { bodies: string[]; again: boolean },
  );

const eventually = (assertion: () => void | Promise<void>) =>
  vi.waitFor(
    async () => {
      if (offline.exitCode !== null) throw new Error(`sls offline ended:\n${output}`);
      await assertion();
    },
    { timeout: 45_000, interval: 50 },
  );

describe.each([
  { runner: 'in worker threads', useInProcess: false, command: 'offline' },
  { runner: 'in process', useInProcess: true, command: 'offline start' },
])('sls $command, functions $runner', { timeout: 90_000 }, ({ useInProcess, command }) => {
  it('feeds the function, again after a throw and a time-out, and lets it finish at the end', async () => {
    await startOffline(command.split(' '), useInProcess);
    // The plugin is there before the queue is.
    await eventually(() => expect(output).toContain('not consuming'));
    await channel.assertQueue(queue, { durable: true, arguments: { 'x-queue-type': 'quorum' } });

    await publish('throw', 'a', 'b');
    await eventually(() => expect(output).toContain('DONE throw'));
    expect(batches()).toMatchObject([
      { bodies: ['throw', 'a', 'b'], again: false },
      { bodies: ['throw', 'a', 'b'], again: true },
    ]);
    expect(output).toContain('batch of 3 failed (thrown on purpose); requeued');

    await publish('hang', 'c');
    await eventually(() => expect(output).toContain('DONE hang'));
    expect(batches().slice(2)).toMatchObject([
      { bodies: ['hang', 'c'], again: false },
      { bodies: ['hang', 'c'], again: true },
    ]);
    expect(output).toContain('batch of 2 failed (timed out after 2 s); requeued');

    await publish('slow');
    await eventually(() => expect(batches().at(-1)?.bodies).toEqual(['slow']));
    offline.kill('SIGINT');
    const [exitCode] = await once(offline, 'exit');
    expect(exitCode).toBe(0);
    expect(output).toContain('DONE slow');
    expect((await channel.checkQueue(queue)).messageCount).toBe(0);
  });

  it('gives a batch whose process was killed again, whole, when it is started again', async () => {
    await channel.assertQueue(queue, { durable: true, arguments: { 'x-queue-type': 'quorum' } });
    await startOffline(command.split(' '), useInProcess);
    await publish('kill', 'a', 'b');
    const [, signal] = await once(offline, 'exit');
    expect(signal).toBe('SIGKILL');
    expect(output).not.toContain('DONE');
    await startOffline(command.split(' '), useInProcess);
    await eventually(() => expect(output).toContain('DONE kill'));
    expect(batches()).toEqual([{ bodies: ['kill', 'a', 'b'], again: true }]);
  });
});

it('gives a batch whose worker thread ended again, whole, to another', { timeout: 90_000 }, async () => {
  await channel.assertQueue(queue, { durable: true, arguments: { 'x-queue-type': 'quorum' } });
  await startOffline(['offline'], false);
  await publish('exit', 'a', 'b');
  await eventually(() => expect(output).toContain('DONE exit'));
  expect(batches()).toEqual([
    { bodies: ['exit', 'a', 'b'], again: false },
    { bodies: ['exit', 'a', 'b'], again: true },
  ]);
});
