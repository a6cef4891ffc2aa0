import { describe, expect, it } from 'vitest';
import type { AutoCreate } from '../src/section.ts';
import { readMappings } from '../src/settings.ts';

const arn = 'arn:aws:mq:us-east-1:123456789012:broker:chat:b-1234';
const rabbitmq = { arn, basicAuthArn: 'a', queue: 'q' };
const withEvents = (...events: unknown[]) => ({ consume: { handler: 'consume.handler', events } });

const read = (
  functions: Record<string, { handler: string; events?: unknown; timeout?: number }>,
  more: {
    url?: string | undefined;
    urls?: Record<string, string>;
    autoCreate?: AutoCreate;
    region?: string;
    timeout?: number;
  } = {},
) => {
  const { url, urls = {}, autoCreate } = { url: 'amqp://localhost:5672', ...more };
  const { mappings, warnings } = readMappings({
    functions,
    options: {
      ...(url === undefined ? {} : { url: new URL(url) }),
      urls: Object.fromEntries(Object.entries(urls).map(([name, each]) => [name, new URL(each)])),
      ...(autoCreate === undefined ? {} : { autoCreate }),
      reportAfterFailures: 5,
    },
    region: more.region,
    timeout: more.timeout,
    owner: 'chat@host:1',
  });
  return {
    mappings: mappings.map(({ settings }) => settings),
    hrefs: mappings.map((mapping) => mapping.url.href),
    warnings,
  };
};

describe('the rabbitmq events of serverless.yml', () => {
  it('have the defaults of Amazon MQ', () => {
    expect(read(withEvents({ rabbitmq }))).toEqual({
      hrefs: ['amqp://localhost:5672'],
      mappings: [
        {
          functionKey: 'consume',
          queue: 'q',
          virtualHost: '/',
          eventSourceArn: arn,
          batchSize: 100,
          batchingWindowMs: 500,
          consumerTag: 'consume/chat@host:1',
          reportAfterFailures: 5,
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
    const events = [arn, `${arn}-2`, `${arn}-2`].map((arn, index) => ({
      rabbitmq: { ...rabbitmq, arn, queue: `q${index}` },
    }));
    expect(read(withEvents(...events)).warnings).toEqual([
      'The events name 2 brokers; all are consumed from one URL. "urls" gives each its own.',
    ]);
  });

  it('bring one warning when several functions consume one queue', () => {
    const functions = {
      a: withEvents({ rabbitmq }).consume,
      b: withEvents({ rabbitmq }, { rabbitmq: { ...rabbitmq, queue: 'other' } }).consume,
      c: withEvents({ rabbitmq: { ...rabbitmq, virtualHost: 'v' } }).consume,
    };
    expect(read(functions).warnings).toEqual([
      'The functions a, b consume one queue, q; each message goes to one of them.',
    ]);
  });

  it('declare a missing queue if the section says so', () => {
    const autoCreate = { arguments: { 'x-queue-type': 'quorum' } };
    expect(read(withEvents({ rabbitmq }), { autoCreate }).mappings).toMatchObject([{ autoCreate }]);
    expect(read(withEvents({ rabbitmq })).mappings[0]).not.toHaveProperty('autoCreate');
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

describe('a URL for each broker', () => {
  const events = (...arns: unknown[]) =>
    withEvents(...arns.map((arn, index) => ({ rabbitmq: { ...rabbitmq, arn, queue: `q${index}` } })));
  const other = 'arn:aws:mq:us-east-1:123456789012:broker:orders:b-5678';

  it.each<[unknown, string]>([
    [other, other],
    [other, 'orders'],
    [other, 'b-5678'],
    [{ Ref: 'OrdersBroker' }, 'OrdersBroker'],
    [{ 'Fn::GetAtt': ['OrdersBroker', 'Arn'] }, 'OrdersBroker'],
    [{ 'Fn::GetAtt': 'OrdersBroker.Arn' }, 'OrdersBroker'],
    [{ 'Fn::ImportValue': 'orders-broker' }, 'orders-broker'],
  ])('is found for %j by %s', (named, name) => {
    const { hrefs, mappings, warnings } = read(events(arn, named), { urls: { [name]: 'amqp://orders/v' } });
    expect(hrefs).toEqual(['amqp://localhost:5672', 'amqp://orders/v']);
    expect(mappings.map(({ virtualHost }) => virtualHost)).toEqual(['/', 'v']);
    expect(warnings).toEqual(['The URL\'s virtual host "v" replaces those of the events: /.']);
  });

  it('is enough without a url for the others', () => {
    const urls = { chat: 'amqp://chat', orders: 'amqp://orders' };
    expect(read(events(arn, other), { url: undefined, urls }).hrefs).toEqual([
      'amqp://chat',
      'amqp://orders',
    ]);
    expect(() => read(events(arn, other), { url: undefined, urls: { chat: 'amqp://chat' } })).toThrow(
      'functions.consume: its broker has no URL; add it to custom.serverless-offline-rabbitmq.urls',
    );
  });

  it.each(['Orders', 'b-1', '__proto__x', 'toString'])('is refused for %s, which no event names', (name) => {
    expect(() => read(events(arn, other), { urls: { [name]: 'amqp://orders' } })).toThrow(
      `urls.${name} is no broker of an event; their names are: ${arn}, chat, b-1234, ${other}, orders, b-5678.`,
    );
  });
});
