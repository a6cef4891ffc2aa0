import { setImmediate } from 'node:timers/promises';
import type { Options } from 'amqplib';
import { describe, expect, it } from 'vitest';
import { MAX_PAYLOAD_BYTES } from '../src/event-source-mapping.ts';
import type { RabbitmqEvent } from '../src/event-types.ts';
import {
  bodiesOf,
  channel,
  declareQueue,
  eventually,
  expectQueueEmpty,
  numbered,
  publish,
  queue,
  readyMessages,
  recordsOf,
  startMapping,
} from './support.ts';

const nextTurn = () => setImmediate();

const TYPES: [string, Options.AssertQueue['arguments']][] = [
  ['a classic queue', { 'x-queue-type': 'classic' }],
  ['a priority queue', { 'x-queue-type': 'classic', 'x-max-priority': 5 }],
  ['a quorum queue', { 'x-queue-type': 'quorum' }],
  [
    'a single active consumer of a quorum queue',
    { 'x-queue-type': 'quorum', 'x-single-active-consumer': true },
  ],
];

describe.each(TYPES)('a backlog in %s', (_, queueArguments) => {
  it.each([1, 10, 64])('comes in full batches of %d, in order', async (batchSize) => {
    const count = batchSize * 30;
    await declareQueue(queueArguments);
    await publish(numbered(count));
    const { events } = startMapping(nextTurn, { batchSize, batchingWindowMs: 0 });
    await eventually(() => expect(events.flatMap(bodiesOf)).toEqual(numbered(count)));
    expect(new Set(events.map((event) => recordsOf(event).length))).toEqual(new Set([batchSize]));
    await expectQueueEmpty();
  });
});

it('a backlog that grows while the function runs comes in full batches', async () => {
  await declareQueue();
  await publish(numbered(200));
  let published = 200;
  const { events } = startMapping(
    async () => {
      if (published === 400) return;
      await publish(numbered(20, published));
      published += 20;
    },
    { batchSize: 20, batchingWindowMs: 0 },
  );
  await eventually(() => expect(events.flatMap(bodiesOf)).toEqual(numbered(400)));
  expect(events.map((event) => recordsOf(event).length)).toEqual(Array.from({ length: 20 }, () => 20));
});

describe('messages of many megabytes', () => {
  /** The number that each body begins with; decoding whole bodies takes longer than the test. */
  const numbersOf = (event: RabbitmqEvent) =>
    recordsOf(event).map(({ data }) => Buffer.from(data.slice(0, 8), 'base64').toString().trim());
  const failEveryThird = (events: () => number) => async () => {
    if (events() % 3 === 1) throw new Error('every third');
  };

  it('of one size keep their order when batches fail', async () => {
    await declareQueue();
    await publish(numbered(30).map((number) => number.padEnd(1_000_000)));
    const { events } = startMapping(failEveryThird(() => events.length));
    await eventually(() => expect(events.flatMap(numbersOf)).toContain('29'));
    await expectQueueEmpty();
    expect([...new Set(events.flatMap(numbersOf))]).toEqual(numbered(30));
    expect(events.slice(0, 2).map(numbersOf)).toEqual([numbered(4), numbered(4)]);
  });

  it('of every size keep their order when batches fail, in a queue with a delivery limit', async () => {
    await declareQueue({ 'x-queue-type': 'quorum', 'x-delivery-limit': 50 });
    const sizes = [0, 3, 2_000_000, 10, 4_000_000, 4_000_000, 1, 1, 1, 2_500_000, 100_000, 1_900_000, 5];
    await publish(numbered(39).map((number, index) => number.padEnd(sizes[index % sizes.length] ?? 0)));
    const { events } = startMapping(failEveryThird(() => events.length));
    await eventually(() => expect(events.flatMap(numbersOf)).toContain('38'));
    await expectQueueEmpty();
    expect([...new Set(events.flatMap(numbersOf))]).toEqual(numbered(39));
    for (const event of events) expect(JSON.stringify(event).length).toBeLessThanOrEqual(MAX_PAYLOAD_BYTES);
  });
});

describe('a delivery limit counts only messages that the function received', () => {
  const deadQueue = () => `${queue}.dead`;
  const declareWithLimit = async (limit: number) => {
    await channel.assertQueue(deadQueue(), { durable: true });
    await declareQueue({
      'x-queue-type': 'quorum',
      'x-delivery-limit': limit,
      'x-dead-letter-exchange': '',
      'x-dead-letter-routing-key': deadQueue(),
    });
  };
  const deadMessages = async () => (await channel.checkQueue(deadQueue())).messageCount;

  it('when a batch is cut by 6 MB and every message fails', async () => {
    await declareWithLimit(2);
    await publish(['a', 'b', 'c', 'd'].map((name) => Buffer.alloc(2_000_000, name)));
    const { events } = startMapping(() => Promise.reject(new Error('always')));
    await eventually(async () => expect(await deadMessages()).toBe(4));
    const received = events.flatMap(bodiesOf).map(([name]) => name);
    // The first delivery and two more each: the limit counts deliveries again.
    for (const name of ['a', 'b', 'c', 'd']) {
      expect(received.filter((other) => other === name)).toHaveLength(3);
    }
    await channel.deleteQueue(deadQueue());
  });

  it('when others wait behind the batch that fails, or arrive while it does', async () => {
    await declareWithLimit(2);
    await publish(['poison', ...numbered(49)]);
    let arrived = 49;
    const { events } = startMapping(
      async (event) => {
        if (!bodiesOf(event).includes('poison')) return;
        await publish(numbered(10, arrived));
        arrived += 10;
        throw new Error('poison');
      },
      { batchSize: 10, batchingWindowMs: 0 },
    );
    await eventually(() => expect(new Set(events.flatMap(bodiesOf)).size).toBe(1 + 79));
    await expectQueueEmpty();
    const others = events.filter((event) => !bodiesOf(event).includes('poison'));
    expect(others.flatMap(bodiesOf)).toEqual(numbered(70, 9));
    const headers = others.flatMap(recordsOf).map(({ basicProperties }) => basicProperties.headers);
    expect(headers.filter((table) => table !== null && 'x-delivery-count' in table)).toEqual([]);
    expect(await deadMessages()).toBe(10);
    await channel.deleteQueue(deadQueue());
  });

  it('when a batch that was not full fails and others arrive meanwhile', async () => {
    await declareWithLimit(2);
    await publish(['poison']);
    let arrived = 0;
    const { events } = startMapping(
      async (event) => {
        if (!bodiesOf(event).includes('poison')) return;
        await publish(numbered(5, arrived));
        arrived += 5;
        throw new Error('poison');
      },
      { batchSize: 100, batchingWindowMs: 0 },
    );
    await eventually(() => expect(new Set(events.flatMap(bodiesOf)).size).toBe(1 + 15));
    await expectQueueEmpty();
    expect(events.slice(0, 3).map(bodiesOf)).toEqual([['poison'], ['poison'], ['poison']]);
    expect(events.slice(3).flatMap(bodiesOf)).toEqual(numbered(15));
    expect(await deadMessages()).toBe(1);
    await channel.deleteQueue(deadQueue());
  });
});

it('200 waiting messages of 1 MB take no more memory than 1.3 times their bodies', async () => {
  await declareQueue({ 'x-queue-type': 'classic' });
  for (let published = 0; published < 200; published += 20) {
    await publish(Array.from({ length: 20 }, () => Buffer.alloc(1_000_000)));
  }
  const usedBytes = () => {
    const { heapUsed, external } = process.memoryUsage();
    return heapUsed + external;
  };
  const before = usedBytes();
  let finish = () => {};
  const { events } = startMapping(
    () =>
      new Promise((resolve) => {
        finish = resolve;
      }),
    { batchSize: 1000 },
  );
  await eventually(() => expect(events).toHaveLength(1));
  // Nothing more is fetched, so the number of ready messages stays the same.
  let ready = -1;
  await eventually(async () => {
    const last = ready;
    ready = await readyMessages();
    expect(ready).toBe(last);
  });
  expect(usedBytes() - before).toBeLessThanOrEqual(1.3 * 200 * 1_000_000);
  finish();
});

it('several functions on one queue share its messages, each message for one of them', async () => {
  await declareQueue();
  await publish(numbered(300));
  const started = ['a', 'b', 'c'].map((functionKey) =>
    startMapping(nextTurn, { functionKey, consumerTag: functionKey, batchSize: 10 }),
  );
  const received = () => started.flatMap(({ events }) => events.flatMap(bodiesOf));
  await publish(numbered(100, 300));
  await eventually(() => expect(received()).toHaveLength(400));
  expect(new Set(received())).toEqual(new Set(numbered(400)));
  await expectQueueEmpty();
});

it('a priority queue gives its most urgent messages first', async () => {
  await declareQueue({ 'x-queue-type': 'classic', 'x-max-priority': 5 });
  await publish(numbered(20), { priority: 1 });
  await publish(numbered(20, 20), { priority: 5 });
  const { events } = startMapping(nextTurn, { batchSize: 20 });
  await eventually(() => expect(events.flatMap(bodiesOf)).toHaveLength(40));
  expect(events.map(bodiesOf)).toEqual([numbered(20, 20), numbered(20)]);
});

it('a queue bound to exchanges delivers the messages that they route to it', async () => {
  const exchange = `${queue}.topic`;
  await channel.assertExchange(exchange, 'topic', { durable: false });
  await declareQueue();
  await channel.bindQueue(queue, exchange, 'orders.*');
  const { events } = startMapping();
  channel.publish(exchange, 'orders.created', Buffer.from('created'), { headers: { kind: 'order' } });
  channel.publish(exchange, 'refunds.created', Buffer.from('no'));
  channel.publish(exchange, 'orders.paid', Buffer.from('paid'));
  await eventually(() => expect(events.flatMap(bodiesOf)).toEqual(['created', 'paid']));
  await channel.deleteExchange(exchange);
});
