import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { resolve } from 'node:path';
import { afterEach, expect, test, vi } from 'vitest';

const root = resolve(import.meta.dirname, '../..');

/** Three functions called again and again. Each asks another server first: MySQL, Redis, RabbitMQ. */
const SCRIPT = `
const { createLambdaContext } = await import('./local/emulation/lambda-context.ts');
const { handler: persistMessage } = await import('./functions/consumers/persist-message.ts');
const { handler: syncCounts } = await import('./functions/scheduled/sync-counts.ts');
const { handler: relayOutbox } = await import('./functions/scheduled/relay-outbox.ts');
const command = { token: 't', chatNumber: 1, messageNumber: 1, senderId: 1, body: 'b', date: '2026-01-01T00:00:00.000Z' };
const data = Buffer.from(JSON.stringify(command)).toString('base64');
const record = { basicProperties: {}, redelivered: false, data };
const batch = { eventSource: 'aws:rmq', eventSourceArn: 'a', rmqMessagesByQueue: { 'create-message::/': [record] } };
const mustThrow = (work) => work.then(() => { throw new Error('did not throw'); }, () => undefined);
for (;;) {
  await mustThrow(persistMessage(batch, createLambdaContext('persistMessage')));
  await mustThrow(syncCounts({}, createLambdaContext('syncCounts')));
  await mustThrow(relayOutbox({}, createLambdaContext('relayOutbox')));
  await new Promise((done) => setTimeout(done, 10));
}
`;

const servers: Server[] = [];
let child: ChildProcess | undefined;
afterEach(async () => {
  child?.kill('SIGKILL');
  for (const server of servers) server.close();
});

/** Takes every connection and cuts it. @returns its port, and how many there were */
const cutting = async () => {
  let connections = 0;
  const server = createServer((socket) => {
    connections += 1;
    socket.on('error', () => undefined);
    socket.resetAndDestroy();
  });
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { port: (server.address() as AddressInfo).port, connections: () => connections };
};

test('an unreachable server is logged once, however often clients try it', {
  timeout: 60_000,
}, async () => {
  const [mysql, redis, rabbitmq] = [await cutting(), await cutting(), await cutting()];
  let output = '';
  child = spawn(process.execPath, ['--input-type=module', '--eval', SCRIPT], {
    cwd: root,
    env: {
      PATH: process.env.PATH,
      MYSQL_URL: `mysql://u:p@127.0.0.1:${mysql.port}/d`,
      REDIS_URL: `redis://127.0.0.1:${redis.port}`,
      RABBITMQ_URL: `amqp://127.0.0.1:${rabbitmq.port}`,
      JWT_SECRET: 'x'.repeat(32),
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk) => (output += chunk));
  await vi.waitFor(
    () => {
      expect(child?.exitCode, output).toBeNull();
      for (const server of [mysql, redis, rabbitmq]) expect(server.connections()).toBeGreaterThanOrEqual(5);
    },
    { timeout: 45_000, interval: 50 },
  );
  const said = output
    .split('\n')
    .filter((line) => line.includes('is out of reach'))
    .map((line) => JSON.parse(line))
    .map(({ message, kind, reason }) => `${message}: ${kind} ${reason.replaceAll(/\d+/g, '#')}`);
  expect(said.some((line) => line.startsWith('Redis '))).toBe(true);
  expect(said.some((line) => line.startsWith('RabbitMQ '))).toBe(true);
  // The reason of a returned batch, in the server's words.
  expect(said.some((line) => /^A server of create-message .*ECONNRESET/.test(line))).toBe(true);
  expect(said).toEqual([...new Set(said)]);
  expect(output.split('\n').filter((line) => line !== '' && !line.includes('is out of reach'))).toEqual([]);
});
