import { once } from 'node:events';
import { type AddressInfo, connect as connectTcp, createServer, type Server, type Socket } from 'node:net';
import { connect } from 'amqplib';
import { afterAll, afterEach, beforeAll, expect, inject, test } from 'vitest';
import { openBroker } from '#lib/rabbitmq/connection.ts';
import { createDeadLetters } from '#lib/rabbitmq/dead-letters.ts';
import { createPublisher } from '#lib/rabbitmq/publisher.ts';

const queue = `faults-connection-${process.pid}`;
const given = new URL(inject('urls').RABBITMQ_URL);

/** A way to the broker that can die as networks do. */
let server: Server;
let port: number;
let ways: { client: Socket; broker: Socket }[] = [];
let accepted = 0;

beforeAll(async () => {
  server = createServer((client) => {
    accepted += 1;
    const broker = connectTcp(Number(given.port), given.hostname);
    for (const socket of [client, broker]) socket.on('error', () => undefined);
    client.on('close', () => broker.destroy());
    broker.on('close', () => client.destroy());
    client.pipe(broker);
    broker.pipe(client);
    ways.push({ client, broker });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  port = (server.address() as AddressInfo).port;
});

const errors: Error[] = [];
const open = (timeoutMs = 5_000) => {
  const url = new URL(given);
  url.hostname = '127.0.0.1';
  url.port = String(port);
  const broker = openBroker(url.href, { timeoutMs, onError: (error) => errors.push(error) });
  opened.push(broker);
  return { broker, publisher: createPublisher(broker, [queue]) };
};
const opened: ReturnType<typeof openBroker>[] = [];

afterEach(async () => {
  for (const { client } of ways) client.destroy();
  await Promise.all(opened.map((broker) => broker.close()));
  opened.length = 0;
  ways = [];
  accepted = 0;
  errors.length = 0;
});

afterAll(async () => {
  server.close();
  const connection = await connect(given.href);
  const channel = await connection.createChannel();
  for (const name of [queue, `${queue}.retry`, `${queue}.dead`]) await channel.deleteQueue(name);
  await connection.close();
});

const publication = { queue, content: '{}' };
const depth = async () => (await open().publisher.depth(queue)).ready;

test('a socket that died in its sleep costs one reconnect, and the publish arrives', async () => {
  const { publisher } = open();
  await publisher.declare();
  await publisher.publish([publication]);
  expect(accepted).toBe(1);
  for (const { client } of ways) client.resetAndDestroy();
  await publisher.publish([publication], 1_000);
  expect(accepted).toBe(2);
  expect(await depth()).toBe(2);
});

test('many callers at once meet one new connection', async () => {
  const { publisher } = open();
  await publisher.publish([publication]);
  for (const { client } of ways) client.resetAndDestroy();
  await Promise.all(Array.from({ length: 100 }, () => publisher.publish([publication])));
  expect(accepted).toBe(2);
});

test('a socket that swallows everything is given up after the wait, and the next publish arrives', async () => {
  const { publisher } = open();
  await publisher.publish([publication]);
  for (const { client } of ways) client.pause();
  await expect(publisher.publish([publication], 300)).rejects.toMatchObject({ code: 'unavailable' });
  await publisher.publish([publication]);
  expect(accepted).toBe(2);
});

test('a broker that is not there is tried once a second, however many ask', async () => {
  const own: Error[] = [];
  const broker = openBroker('amqp://127.0.0.1:1', {
    timeoutMs: 1_000,
    onError: (error) => own.push(error),
  });
  const publisher = createPublisher(broker, [queue]);
  const all = await Promise.allSettled(
    Array.from({ length: 200 }, () => publisher.publish([publication], 500)),
  );
  expect(all.every(({ status }) => status === 'rejected')).toBe(true);
  await expect(publisher.publish([publication], 500)).rejects.toMatchObject({ code: 'unavailable' });
  expect(own).toHaveLength(1);
});

test('a queue that is not there fails the publish, and says which', async () => {
  const { publisher } = open();
  await expect(publisher.publish([{ queue: 'no-such-queue', content: '{}' }])).rejects.toMatchObject({
    code: 'unavailable',
    cause: expect.objectContaining({ message: expect.stringContaining('queue no-such-queue:') }),
  });
  await expect(publisher.depth('no-such-queue')).rejects.toMatchObject({ code: 'unavailable' });
  // Neither costs the others their connection.
  await publisher.publish([publication]);
  expect(accepted).toBe(1);
});

test('a queue that an older version declared otherwise is named, and used as it is', async () => {
  const older = `${queue}-older`;
  const connection = await connect(given.href);
  const channel = await connection.createChannel();
  await channel.assertQueue(`${older}.dead`, { durable: true, arguments: { 'x-queue-type': 'quorum' } });
  try {
    const { broker } = open();
    const publisher = createPublisher(broker, [older]);
    expect(await publisher.declare()).toEqual([`${older}.dead`]);
    await publisher.publish([{ queue: older, content: '{}' }]);
    expect(await publisher.depth(older)).toMatchObject({ ready: 1, dead: 0 });
  } finally {
    for (const name of [older, `${older}.retry`, `${older}.dead`]) await channel.deleteQueue(name);
    await connection.close();
  }
});

test('no dead letter is lost when the way to them breaks off', async () => {
  const { broker, publisher } = open();
  await publisher.declare();
  const deadLetters = createDeadLetters(broker, publisher);
  const contents = Array.from({ length: 50 }, (_, at) => `{"at":${at}}`);
  await publisher.publish(contents.map((content) => ({ queue: `${queue}.dead`, content })));
  const looking = deadLetters.list(queue, { limit: 1_000 }).catch(() => undefined);
  for (const { client } of ways) client.resetAndDestroy();
  await looking;
  await expect
    .poll(async () => {
      const { letters } = await deadLetters.list(queue, { limit: 1_000 });
      return letters.map(({ content }) => String(content)).sort();
    })
    .toEqual([...contents].sort());
  const [one] = (await deadLetters.list(queue, { limit: 1_000 })).letters;
  const only = { ids: [one?.id ?? ''], limit: 1_000 };
  expect(await deadLetters.discard(queue, only)).toEqual({ held: 50, looked: 50, acted: 1 });
  expect(await deadLetters.discard(queue, only)).toEqual({ held: 49, looked: 49, acted: 0 });
});
