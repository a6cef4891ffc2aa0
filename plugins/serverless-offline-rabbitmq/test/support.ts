import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, connect as connectSocket, createServer, type Server, type Socket } from 'node:net';
import { type ChannelModel, type ConfirmChannel, connect, type Options } from 'amqplib';
import { afterAll, afterEach, beforeAll, beforeEach, expect, inject, onTestFinished, vi } from 'vitest';
import { createBroker } from '../src/broker.ts';
import { createEventSourceMapping, type Invoke } from '../src/event-source-mapping.ts';
import type { RabbitmqEvent, RabbitmqRecord } from '../src/event-types.ts';
import type { MappingSettings } from '../src/settings.ts';

export const brokerUrl = new URL(inject('brokerUrl'));
export const virtualHost = decodeURIComponent(brokerUrl.pathname.slice(1)) || '/';
export const eventSourceArn = 'arn:aws:mq:us-east-1:123456789012:broker:chat:b-1234';

export const QUEUE_TYPES: [string, Options.AssertQueue['arguments']][] = [
  ['a classic queue', { 'x-queue-type': 'classic' }],
  ['a quorum queue', { 'x-queue-type': 'quorum' }],
  ['a quorum queue with a delivery limit', { 'x-queue-type': 'quorum', 'x-delivery-limit': 50 }],
];

let connection: ChannelModel;
export let channel: ConfirmChannel;
/** The queue of the running test. */
export let queue: string;

beforeAll(async () => {
  connection = await connect(brokerUrl.href);
  channel = await connection.createConfirmChannel();
});
afterAll(() => connection.close());
beforeEach(() => {
  queue = `event-source-${randomUUID()}`;
});
afterEach(async () => {
  await channel.deleteQueue(queue);
});

export const declareQueue = (args: Options.AssertQueue['arguments'] = { 'x-queue-type': 'quorum' }) =>
  channel.assertQueue(queue, { durable: true, arguments: args });

export const publish = async (bodies: (string | Buffer)[], options: Options.Publish = {}) => {
  for (const body of bodies) channel.sendToQueue(queue, Buffer.from(body), { persistent: true, ...options });
  await channel.waitForConfirms();
};

/** `0`, `1`, … up to `count`, from `first`. */
export const numbered = (count: number, first = 0) =>
  Array.from({ length: count }, (_, index) => String(first + index));

export const recordsOf = (event: RabbitmqEvent): RabbitmqRecord[] =>
  Object.values(event.rmqMessagesByQueue).flat();
export const bodiesOf = (event: RabbitmqEvent) =>
  recordsOf(event).map(({ data }) => Buffer.from(data, 'base64').toString());

/** A log that keeps its lines. */
const createLog = () => {
  const lines: string[] = [];
  const keep = (line: string) => lines.push(line);
  return { lines, notice: keep, warning: keep, error: keep };
};

/** Starts a mapping on the test's queue. `events` collects the function's events, `lines` the logged lines. */
export const startMapping = (
  invoke: Invoke = async () => {},
  settings: Partial<MappingSettings> = {},
  url: URL = brokerUrl,
) => {
  const host = settings.virtualHost ?? virtualHost;
  const events: RabbitmqEvent[] = [];
  const log = createLog();
  const broker = createBroker({ url, virtualHost: host, connectionName: 'test', log });
  const mapping = createEventSourceMapping(
    {
      functionKey: 'consume',
      queue,
      virtualHost,
      eventSourceArn,
      batchSize: 100,
      batchingWindowMs: 50,
      consumerTag: 'consume',
      ...settings,
    },
    broker,
    async (event) => {
      events.push(event);
      await invoke(event);
    },
    log,
    { firstMs: 20, lastMs: 100 },
  );
  mapping.start();
  const stop = async () => {
    await mapping.stop(1000);
    await broker.close();
  };
  onTestFinished(stop);
  return { events, lines: log.lines, mapping, stop };
};

export const eventually = (assertion: () => void | Promise<void>) =>
  vi.waitFor(assertion, { timeout: 20_000, interval: 20 });

/** Messages that lie ready in the queue; those held by a consumer are not counted. */
export const readyMessages = async () => (await channel.checkQueue(queue)).messageCount;

export const expectQueueEmpty = () => eventually(async () => expect(await readyMessages()).toBe(0));

/** A way to the broker that can be cut and opened. */
export class BrokerProxy {
  readonly #sockets = new Set<Socket>();
  #server: Server | undefined;
  #port = 0;

  async open(): Promise<URL> {
    this.#server = createServer((client) => {
      const upstream = connectSocket(Number(brokerUrl.port || 5672), brokerUrl.hostname);
      for (const socket of [client, upstream]) {
        this.#sockets.add(socket);
        socket.on('error', () => undefined);
        socket.on('close', () => {
          this.#sockets.delete(socket);
          client.destroy();
          upstream.destroy();
        });
      }
      client.pipe(upstream).pipe(client);
    }).listen(this.#port, '127.0.0.1');
    await once(this.#server, 'listening');
    this.#port = (this.#server.address() as AddressInfo).port;
    const url = new URL(brokerUrl);
    url.hostname = '127.0.0.1';
    url.port = String(this.#port);
    return url;
  }

  /** Ends every connection and refuses new ones. */
  async cut(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    const server = this.#server;
    this.#server = undefined;
    if (server !== undefined) await new Promise((resolve) => server.close(resolve));
  }
}
