import { describe, expect, it, onTestFinished } from 'vitest';
import { MAX_PAYLOAD_BYTES } from '../src/event-source-mapping.ts';
import {
  BrokerProxy,
  bodiesOf,
  brokerUrl,
  channel,
  declareQueue,
  eventSourceArn,
  eventually,
  expectQueueEmpty,
  numbered,
  publish,
  QUEUE_TYPES,
  queue,
  readyMessages,
  recordsOf,
  startMapping,
  virtualHost,
} from './support.ts';

describe('the event of the function', () => {
  it('is the aws:rmq event', async () => {
    await declareQueue({ 'x-queue-type': 'classic' });
    await publish(['{"a":1}'], {
      contentType: 'application/json',
      contentEncoding: 'utf-8',
      // In the order of their names, which RabbitMQ 4 puts them in.
      headers: {
        attempt: 2,
        name: 'é',
        nested: { deep: ['x', 1.5] },
        rate: { '!': 'float', value: 0.1 },
        ratio: 0.1,
      },
      priority: 3,
      correlationId: 'correlation',
      replyTo: 'reply',
      expiration: '60000',
      messageId: '1700000000000-0',
      timestamp: 1_700_000_000,
      type: 'create',
      appId: 'app',
    });
    const { events } = startMapping();
    await eventually(() => expect(events).toHaveLength(1));
    expect(JSON.stringify(events[0])).toBe(
      `{"eventSource":"aws:rmq","eventSourceArn":"${eventSourceArn}",` +
        `"rmqMessagesByQueue":{"${queue}::${virtualHost}":[{"basicProperties":{"contentType":"application/json",` +
        '"contentEncoding":"utf-8","headers":{"attempt":2,"name":{"bytes":[-61,-87]},' +
        '"nested":{"deep":[{"bytes":[120]},1.5]},"rate":0.1,"ratio":0.1},"deliveryMode":2,"priority":3,' +
        '"correlationId":"correlation","replyTo":"reply","expiration":"60000","messageId":"1700000000000-0",' +
        '"timestamp":"Nov 14, 2023, 10:13:20 PM","type":"create","userId":null,"appId":"app",' +
        '"clusterId":null,"bodySize":7},"redelivered":false,"data":"eyJhIjoxfQ=="}]}}',
    );
    await expectQueueEmpty();
  });
});

describe('batches', () => {
  it('are full while there is a backlog, without waiting for the window', async () => {
    await declareQueue();
    await publish(numbered(3000).map((number) => number.padEnd(3000)));
    const { events } = startMapping(undefined, { batchSize: 1000, batchingWindowMs: 300_000 });
    await eventually(() => expect(events).toHaveLength(3));
    expect(events.map((event) => recordsOf(event).length)).toEqual([1000, 1000, 1000]);
    expect(events.flatMap(bodiesOf).map((body) => body.trim())).toEqual(numbered(3000));
    await expectQueueEmpty();
  });

  it('take a lone message once the window has passed', async () => {
    await declareQueue();
    const { events } = startMapping(undefined, { batchingWindowMs: 0 });
    await publish(['alone']);
    await eventually(() => expect(events.flatMap(bodiesOf)).toEqual(['alone']));
  });

  it('stay below 6 MB', async () => {
    await declareQueue();
    const body = Buffer.alloc(1024 * 1024);
    await publish(Array.from({ length: 10 }, () => body));
    const { events } = startMapping(undefined, { batchingWindowMs: 1000 });
    await eventually(() => expect(events.flatMap(recordsOf)).toHaveLength(10));
    expect(events.map((event) => recordsOf(event).length)).toEqual([4, 4, 2]);
    for (const event of events) expect(JSON.stringify(event).length).toBeLessThanOrEqual(MAX_PAYLOAD_BYTES);
  });

  it('leave out a message that can never fit, which goes to the dead-letter exchange', async () => {
    const dead = `${queue}.dead`;
    await channel.assertQueue(dead, { durable: true });
    onTestFinished(async () => {
      await channel.deleteQueue(dead);
    });
    await declareQueue({
      'x-queue-type': 'quorum',
      'x-dead-letter-exchange': '',
      'x-dead-letter-routing-key': dead,
    });
    await publish(['before', Buffer.alloc(5 * 1024 * 1024), 'after']);
    const { events, lines } = startMapping();
    await eventually(() => expect(events.flatMap(bodiesOf)).toEqual(['before', 'after']));
    await eventually(async () => expect((await channel.checkQueue(dead)).messageCount).toBe(1));
    expect(lines).toEqual([expect.stringContaining('5242880 bytes does not fit')]);
    await expectQueueEmpty();
  });

  it('run one at a time', async () => {
    await declareQueue();
    await publish(numbered(200));
    let running = 0;
    let most = 0;
    const { events } = startMapping(
      async () => {
        running += 1;
        most = Math.max(most, running);
        await new Promise((resolve) => setImmediate(resolve));
        running -= 1;
      },
      { batchSize: 10 },
    );
    await eventually(() => expect(events.flatMap(bodiesOf)).toEqual(numbered(200)));
    expect(most).toBe(1);
  });
});

describe.each(QUEUE_TYPES)('a batch that failed, of %s', (_, queueArguments) => {
  it('is delivered again whole, in order and marked as redelivered, before any later message', async () => {
    await declareQueue(queueArguments);
    await publish(numbered(50));
    let failuresLeft = 4;
    const { events, lines } = startMapping(
      async () => {
        if (failuresLeft === 0) return;
        failuresLeft -= 1;
        // What arrives meanwhile must stay behind.
        await publish(numbered(10, 80 - failuresLeft * 10));
        throw new Error(`failure ${failuresLeft}`);
      },
      { batchSize: 20 },
    );
    await eventually(() => expect(events.slice(4).flatMap(bodiesOf)).toEqual(numbered(90)));
    const failed = events.slice(0, 5);
    expect(failed.map(bodiesOf)).toEqual(failed.map(() => numbered(20)));
    expect(failed.map((event) => new Set(recordsOf(event).map(({ redelivered }) => redelivered)))).toEqual(
      failed.map((_event, attempt) => new Set([attempt > 0])),
    );
    expect(lines).toEqual([
      expect.stringContaining('batch of 20 failed (failure 3); requeued, again in 20 ms'),
      expect.stringContaining('again in 40 ms'),
      expect.stringContaining('again in 80 ms'),
      expect.stringContaining('again in 100 ms'),
    ]);
    await expectQueueEmpty();
  });
});

describe('a queue', () => {
  it('that is not there yet is waited for, which is said once', async () => {
    const { events, lines } = startMapping();
    await eventually(() => expect(lines).toHaveLength(1));
    expect(lines[0]).toContain(`not consuming (NOT_FOUND - no queue '${queue}'`);
    await declareQueue();
    await publish(['late']);
    await eventually(() => expect(events.flatMap(bodiesOf)).toEqual(['late']));
    expect(lines.slice(1)).toEqual([expect.stringContaining('consuming.')]);
  });

  it.each(QUEUE_TYPES)(
    'that was deleted and declared again is consumed again (%s)',
    async (_, queueArguments) => {
      await declareQueue(queueArguments);
      const { events, lines } = startMapping();
      await publish(['first']);
      await eventually(() => expect(events.flatMap(bodiesOf)).toEqual(['first']));
      await channel.deleteQueue(queue);
      await eventually(() => expect(lines).toHaveLength(1));
      await declareQueue(queueArguments);
      await publish(['second']);
      await eventually(() => expect(events.flatMap(bodiesOf)).toEqual(['first', 'second']));
    },
  );
});

describe('a stream', () => {
  it.each([0, 3])('with %d messages is refused in one line, until a queue replaces it', async (count) => {
    await declareQueue({ 'x-queue-type': 'stream' });
    await publish(numbered(count));
    const { events, lines } = startMapping();
    await eventually(() => expect(lines).toHaveLength(1));
    expect(lines[0]).toMatch(
      /^[^\n]+ not consuming \(it is a stream: .*; declare a classic or quorum queue\)/,
    );
    await publish(numbered(3, count));
    await channel.deleteQueue(queue);
    await declareQueue();
    await publish(['of the queue']);
    await eventually(() => expect(events.flatMap(bodiesOf)).toEqual(['of the queue']));
    expect(lines.slice(1)).toEqual([expect.stringContaining('consuming.')]);
  });

  it('is refused also when it came after the first outage was logged', async () => {
    const { events, lines } = startMapping();
    await eventually(() => expect(lines).toEqual([expect.stringContaining('NOT_FOUND')]));
    await declareQueue({ 'x-queue-type': 'stream' });
    await eventually(() => expect(lines.slice(1)).toEqual([expect.stringContaining('it is a stream')]));
    expect(events).toEqual([]);
  });

  it('is not made by looking for one', async () => {
    const { lines } = startMapping();
    await eventually(() => expect(lines).toHaveLength(1));
    await declareQueue({ 'x-queue-type': 'classic', 'x-max-priority': 1 });
    await publish(['first']);
    await eventually(() => expect(lines).toHaveLength(2));
    await expectQueueEmpty();
  });
});

describe('autoCreate', () => {
  it('declares a missing queue as most producers do', async () => {
    const { events, lines } = startMapping(undefined, { autoCreate: { arguments: {} } });
    await eventually(() => expect(lines).toEqual([expect.stringContaining('the queue was declared')]));
    await channel.assertQueue(queue, { durable: true });
    await publish(['first']);
    await eventually(() => expect(events.flatMap(bodiesOf)).toEqual(['first']));
  });

  it('declares it with arguments, again after it was deleted', async () => {
    const args = { 'x-queue-type': 'quorum', 'x-delivery-limit': 3 };
    const { events, lines } = startMapping(undefined, { autoCreate: { arguments: args } });
    for (const body of ['first', 'second']) {
      await eventually(() =>
        expect(lines.filter((line) => line.includes('was declared'))).toHaveLength(events.length + 1),
      );
      await declareQueue(args);
      await publish([body]);
      await eventually(() => expect(events.flatMap(bodiesOf)).toContain(body));
      await channel.deleteQueue(queue);
    }
  });

  it('leaves an existing queue as it is', async () => {
    await declareQueue({ 'x-queue-type': 'quorum' });
    await publish(['first']);
    const { events, lines } = startMapping(undefined, { autoCreate: { arguments: {} } });
    await eventually(() => expect(events.flatMap(bodiesOf)).toEqual(['first']));
    expect(lines).toEqual([]);
  });

  it('makes no stream', async () => {
    const { lines } = startMapping(undefined, { autoCreate: { arguments: { 'x-queue-type': 'stream' } } });
    await eventually(() => expect(lines).toEqual([expect.stringContaining('it is a stream')]));
  });
});

it('another consumer of the queue is pointed out once', async () => {
  await declareQueue();
  const first = startMapping();
  await publish(['a']);
  await eventually(() => expect(first.events).toHaveLength(1));
  const second = startMapping();
  await eventually(() => expect(second.lines).toHaveLength(1));
  expect(second.lines[0]).toContain(
    '1 other consumer takes from this queue, perhaps another "sls offline"; each message goes to one of them.',
  );
  await channel.deleteQueue(queue);
  await declareQueue();
  await eventually(async () => expect((await channel.checkQueue(queue)).consumerCount).toBe(2));
  expect([...first.lines, ...second.lines].filter((line) => line.includes('other consumer'))).toHaveLength(1);
});

describe('a batch that keeps failing', () => {
  const failing = (times: number) => {
    let left = times;
    return async () => {
      left -= 1;
      if (left >= 0) throw new Error('on purpose');
    };
  };
  const reportsIn = (lines: string[]) => lines.filter((line) => !line.includes('requeued'));

  it('is reported once, with its messages and without their bodies', async () => {
    await declareQueue();
    await publish(['secret'], { messageId: 'm1', type: 'order' });
    await publish(['secret', 'secret', 'secret', 'secret']);
    const { lines } = startMapping(failing(5), { reportAfterFailures: 3 });
    await expectQueueEmpty();
    await eventually(() => expect(reportsIn(lines)).toHaveLength(2));
    const [report, end] = reportsIn(lines);
    expect(report).toMatch(
      /batches failed 3 times in a row since \d\d:\d\d:\d\d; last \(on purpose\)\. No later message/,
    );
    expect(report).toContain('Messages: messageId m1, type order, 6 bytes; 6 bytes; 6 bytes; and 2 more.');
    expect(report).not.toContain('secret');
    expect(end).toContain('a batch succeeded after 5 failures');
  });

  it.each([
    ['fewer failures', 3, 2],
    ['the report turned off', 0, 4],
  ])('is not reported with %s', async (_, reportAfterFailures, failures) => {
    await declareQueue();
    await publish(['a']);
    const { events, lines } = startMapping(failing(failures), { reportAfterFailures });
    await eventually(() => expect(events).toHaveLength(failures + 1));
    await expectQueueEmpty();
    expect(reportsIn(lines)).toEqual([]);
  });
});

describe('a broker that lets nobody in', () => {
  it.each(['missing', 'ä ö', 'a/b'])('to the virtual host %s says what to correct', async (missing) => {
    const { lines } = startMapping(undefined, { virtualHost: missing });
    await eventually(() => expect(lines).toHaveLength(1));
    expect(lines[0]).toContain(
      `virtual host ${missing}: the virtual host "${missing}" does not exist, or the user "${decodeURIComponent(brokerUrl.username)}" may not use it;`,
    );
    expect(lines[0]).toContain(`rabbitmqctl add_vhost "${missing}"`);
  });

  it('after it was away says what to correct, too', async () => {
    const proxy = new BrokerProxy();
    const url = await proxy.open();
    await proxy.cut();
    const { lines } = startMapping(undefined, { virtualHost: 'missing' }, url);
    await eventually(() => expect(lines).toEqual([expect.stringContaining('ECONNREFUSED')]));
    await proxy.open();
    onTestFinished(() => proxy.cut());
    await eventually(() => expect(lines.slice(1)).toEqual([expect.stringContaining('does not exist')]));
  });

  it('because of the password says so, without the password', async () => {
    const url = new URL(brokerUrl);
    url.password = 'not-the-password';
    const { lines } = startMapping(undefined, {}, url);
    await eventually(() => expect(lines).toHaveLength(1));
    expect(lines[0]).toMatch(/the user "\w+" or its password is wrong; correct the URL/);
    expect(lines[0]).not.toContain('not-the-password');
  });
});

describe('a broker', () => {
  it('that refuses the first connection is waited for, which is said once', async () => {
    await declareQueue();
    await publish(['waiting']);
    const proxy = new BrokerProxy();
    const url = await proxy.open();
    await proxy.cut();
    const { events, lines } = startMapping(undefined, {}, url);
    await eventually(() => expect(lines).toEqual([expect.stringContaining('ECONNREFUSED')]));
    await proxy.open();
    onTestFinished(() => proxy.cut());
    await eventually(() => expect(events.flatMap(bodiesOf)).toEqual(['waiting']));
    expect(lines.slice(1)).toEqual([expect.stringContaining('connected.')]);
  });

  it('that is lost while a batch runs delivers it again, after it has ended', async () => {
    await declareQueue();
    await publish(numbered(5));
    const proxy = new BrokerProxy();
    const url = await proxy.open();
    onTestFinished(() => proxy.cut());
    let running = 0;
    let most = 0;
    let finishFirst = () => {};
    const first = new Promise<void>((resolve) => {
      finishFirst = resolve;
    });
    const { events, lines } = startMapping(
      async () => {
        running += 1;
        most = Math.max(most, running);
        await first;
        running -= 1;
      },
      {},
      url,
    );
    await eventually(() => expect(events).toHaveLength(1));
    await proxy.cut();
    await eventually(() => expect(lines).toHaveLength(1));
    await proxy.open();
    await eventually(async () => expect(await readyMessages()).toBe(5));
    finishFirst();
    await eventually(() => expect(events).toHaveLength(2));
    expect(events.map(bodiesOf)).toEqual([numbered(5), numbered(5)]);
    expect(events.map((event) => recordsOf(event)[0]?.redelivered)).toEqual([false, true]);
    expect(most).toBe(1);
    await expectQueueEmpty();
  });

  it('that is lost over and over costs nothing and keeps the order', async () => {
    await declareQueue();
    await publish(numbered(300));
    const proxy = new BrokerProxy();
    const url = await proxy.open();
    onTestFinished(() => proxy.cut());
    const { events } = startMapping(
      async () => {
        if ([2, 5, 9].includes(events.length)) await proxy.cut().then(() => proxy.open());
      },
      { batchSize: 10 },
      url,
    );
    await eventually(() => expect(new Set(events.flatMap(bodiesOf)).size).toBe(300));
    await expectQueueEmpty();
    const firstTimes = [...new Set(events.flatMap(bodiesOf))];
    expect(firstTimes).toEqual(numbered(300));
  });
});

describe('stopping', () => {
  it('waits for the batch that runs and acknowledges it, and gives the rest back', async () => {
    await declareQueue();
    await publish(numbered(25));
    let finish = () => {};
    const finished = new Promise<void>((resolve) => {
      finish = resolve;
    });
    const { events, stop } = startMapping(() => finished, { batchSize: 10 });
    await eventually(() => expect(events).toHaveLength(1));
    const stopped = stop();
    finish();
    await stopped;
    expect(events).toHaveLength(1);
    await eventually(async () => expect(await readyMessages()).toBe(15));
  });

  it('waits for a bounded time', async () => {
    await declareQueue();
    await publish(numbered(5));
    const { events, lines, mapping, stop } = startMapping(() => new Promise(() => {}));
    await eventually(() => expect(events).toHaveLength(1));
    await mapping.stop(50);
    await stop();
    expect(lines[0]).toContain('still runs after 50 ms');
    await eventually(async () => expect(await readyMessages()).toBe(5));
  });
});
