import { describe, expect, it } from 'vitest';
import { readMappings, readSection } from '../src/settings.ts';

const arn = 'arn:aws:mq:us-east-1:123456789012:broker:chat:b-1234';
const rabbitmq = { arn, basicAuthArn: 'a', queue: 'q' };
const withEvents = (...events: unknown[]) => ({ consume: { handler: 'consume.handler', events } });

const read = (
  functions: Record<string, { handler: string; events?: unknown; timeout?: number }>,
  more: { url?: string; region?: string; timeout?: number } = {},
) =>
  readMappings({
    functions,
    url: new URL(more.url ?? 'amqp://localhost:5672'),
    region: more.region,
    timeout: more.timeout,
    owner: 'chat@host:1',
  });

describe('the rabbitmq events of serverless.yml', () => {
  it('have the defaults of Amazon MQ', () => {
    expect(read(withEvents({ rabbitmq }))).toEqual({
      mappings: [
        {
          functionKey: 'consume',
          queue: 'q',
          virtualHost: '/',
          eventSourceArn: arn,
          batchSize: 100,
          batchingWindowMs: 500,
          consumerTag: 'consume/chat@host:1',
        },
      ],
      warnings: [],
    });
  });

  it.each([
    [
      { virtualHost: 'v', batchSize: 1000, maximumBatchingWindow: 0 },
      { batchingWindowMs: 0, batchSize: 1000 },
    ],
    [{ maximumBatchingWindow: 2 }, { batchingWindowMs: 2000 }],
    [
      { batchSize: 10_000, maximumBatchingWindow: 300 },
      { batchSize: 10_000, batchingWindowMs: 300_000 },
    ],
  ])('are read with what they set: %j', (set, expected) => {
    expect(read(withEvents({ rabbitmq: { ...rabbitmq, ...set } })).mappings).toMatchObject([expected]);
  });

  it.each([
    ['amqp://localhost/test', 'test'],
    ['amqp://localhost/%2F', '/'],
    ['amqp://localhost/a%2Fb', 'a/b'],
    ['amqp://localhost/', 'v'],
    ['amqp://localhost', 'v'],
  ])('are consumed from the virtual host that %s names, or else from their own', (url, virtualHost) => {
    const functions = withEvents({ rabbitmq: { ...rabbitmq, virtualHost: 'v' } });
    expect(read(functions, { url }).mappings).toMatchObject([{ virtualHost }]);
  });

  it('bring one warning when the URL replaces virtual hosts, however many events there are', () => {
    const events = ['v', 'w', 'test', 'v'].map((virtualHost) => ({ rabbitmq: { ...rabbitmq, virtualHost } }));
    expect(read(withEvents(...events), { url: 'amqp://localhost/test' }).warnings).toEqual([
      'The URL\'s virtual host "test" replaces those of the events: v, w.',
    ]);
    expect(read(withEvents(...events), { url: 'amqp://localhost' }).warnings).toEqual([]);
  });

  it('bring one warning when they name several brokers', () => {
    const events = [arn, `${arn}-2`, `${arn}-2`].map((arn) => ({ rabbitmq: { ...rabbitmq, arn } }));
    expect(read(withEvents(...events)).warnings).toEqual([
      'The events name 2 brokers; all are consumed from one URL.',
    ]);
  });

  it('give one mapping each; other events and disabled ones give none', () => {
    const functions = {
      ...withEvents(
        'websocket',
        { httpApi: '*' },
        { rabbitmq: { arn, queue: 'a' } },
        { rabbitmq: { arn, queue: 'b' } },
      ),
      off: { handler: 'off.handler', events: [{ rabbitmq: { arn, queue: 'c', enabled: false } }] },
      plain: { handler: 'plain.handler' },
    };
    expect(read(functions).mappings.map(({ queue }) => queue)).toEqual(['a', 'b']);
  });

  it('have a made-up ARN when theirs is left to CloudFormation', () => {
    const functions = withEvents({ rabbitmq: { ...rabbitmq, arn: { Ref: 'Broker' } } });
    expect(read(functions, { region: 'eu-west-1' }).mappings[0]?.eventSourceArn).toMatch(
      /^arn:aws:mq:eu-west-1:0+:broker:/,
    );
  });

  it('are not consumed when they filter, and a warning says so', () => {
    const filtered = { rabbitmq: { ...rabbitmq, queue: 'filtered', filterPatterns: [{ data: { a: [1] } }] } };
    const { mappings, warnings } = read(withEvents(filtered, { rabbitmq }));
    expect(mappings.map(({ queue }) => queue)).toEqual(['q']);
    expect(warnings).toEqual([
      expect.stringContaining('functions.consume: filterPatterns are not emulated; filtered is not consumed'),
    ]);
  });

  const sizes = 'batchSize must be an integer from 1 to 10000';
  const windows = 'maximumBatchingWindow must be an integer from 0 to 300';
  it.each<{ set: Record<string, unknown>; reason: string }>([
    ...[undefined, ''].map((queue) => ({ set: { queue }, reason: 'names no queue' })),
    ...[0, -1, 1.5, 10_001, '10', null, Number.NaN].map((batchSize) => ({
      set: { batchSize },
      reason: sizes,
    })),
    ...[-1, 0.5, 301, '1', null].map((maximumBatchingWindow) => ({
      set: { maximumBatchingWindow },
      reason: windows,
    })),
  ])('are refused with $set', ({ set, reason }) => {
    expect(() => read(withEvents({ rabbitmq: { ...rabbitmq, ...set } }))).toThrow(reason);
  });

  it('are refused for a function that may run longer than Amazon MQ waits', () => {
    const withTimeout = (timeout: number) => ({ consume: { ...withEvents({ rabbitmq }).consume, timeout } });
    expect(() => read(withTimeout(841))).toThrow('functions.consume: with an Amazon MQ event its timeout');
    expect(() => read(withEvents({ rabbitmq }), { timeout: 900 })).toThrow('at most 840 s, not 900');
    expect(read(withTimeout(840), { timeout: 900 }).mappings).toHaveLength(1);
  });

  it('are refused with every reason at once', () => {
    const bad = { rabbitmq: { arn, batchSize: 0, maximumBatchingWindow: 301 } };
    expect(() => read(withEvents(bad))).toThrow(/no queue.*\n.*batchSize.*\n.*maximumBatchingWindow/);
  });
});

describe('the section custom.serverless-offline-rabbitmq', () => {
  it.each([
    [undefined, 'missing'],
    [null, 'missing'],
    ['amqp://localhost', 'missing'],
    [{}, 'url is empty'],
    [{ url: '' }, 'url is empty'],
    [{ url: 'amqp://localhost', enabled: false }, 'enabled is false'],
  ])('%j turns the events off and says why', (section, why) => {
    expect(readSection(section)).toEqual({ off: expect.stringContaining(why) });
  });

  it.each(['amqp://localhost', 'amqps://user:password@broker.example.org:5671/v'])('takes %s', (url) => {
    expect(readSection({ url })).toEqual({ url: new URL(url) });
  });

  it.each(['localhost:5672', 'http://localhost', 5672])('refuses the URL %j', (url) => {
    expect(() => readSection({ url })).toThrow('must be the URL of a RabbitMQ broker');
  });
});
