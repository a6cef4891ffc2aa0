import { describe, expect, it } from 'vitest';
import { functionsWithFilters, readMappings } from '../../plugins/serverless-offline-rabbitmq/settings.ts';

const arn = 'arn:aws:mq:us-east-1:123456789012:broker:chat:b-1234';
const url = new URL('amqp://localhost:5672');
const withEvents = (...events: unknown[]) => ({ consume: { events } });

describe('the rabbitmq events of serverless.yml', () => {
  it('have the defaults of Amazon MQ', () => {
    expect(readMappings(withEvents({ rabbitmq: { arn, queue: 'q', basicAuthArn: 'a' } }), url)).toEqual([
      {
        functionKey: 'consume',
        queue: 'q',
        virtualHost: '/',
        eventSourceArn: arn,
        batchSize: 100,
        batchingWindowMs: 500,
      },
    ]);
  });

  it('are read with what they set, a window of 0 included', () => {
    const rabbitmq = { arn, queue: 'q', virtualHost: 'v', batchSize: 1000, maximumBatchingWindow: 0 };
    expect(readMappings(withEvents({ rabbitmq }), url)).toMatchObject([
      { virtualHost: 'v', batchSize: 1000, batchingWindowMs: 0 },
    ]);
    expect(
      readMappings(withEvents({ rabbitmq: { ...rabbitmq, maximumBatchingWindow: 2 } }), url),
    ).toMatchObject([{ batchingWindowMs: 2000 }]);
  });

  it.each([
    ['amqp://localhost/test', 'test'],
    ['amqp://localhost/%2F', '/'],
    ['amqp://localhost/a%2Fb', 'a/b'],
    ['amqp://localhost/', 'v'],
    ['amqp://localhost', 'v'],
  ])('are consumed from the virtual host that %s names, else from their own', (address, virtualHost) => {
    const functions = withEvents({ rabbitmq: { arn, queue: 'q', virtualHost: 'v' } });
    expect(readMappings(functions, new URL(address))).toMatchObject([{ virtualHost }]);
  });

  it('give one mapping each, other events and disabled ones aside', () => {
    const functions = {
      ...withEvents(
        'websocket',
        { httpApi: '*' },
        { rabbitmq: { arn, queue: 'a' } },
        { rabbitmq: { arn, queue: 'b' } },
      ),
      off: { events: [{ rabbitmq: { arn, queue: 'c', enabled: false } }] },
      plain: {},
    };
    expect(readMappings(functions, url).map(({ queue }) => queue)).toEqual(['a', 'b']);
  });

  it('stand under a made-up ARN when theirs is left to CloudFormation', () => {
    const functions = withEvents({ rabbitmq: { arn: { Ref: 'Broker' }, queue: 'q' } });
    expect(readMappings(functions, url, 'eu-west-1')[0]?.eventSourceArn).toMatch(
      /^arn:aws:mq:eu-west-1:0+:broker:/,
    );
  });

  it('must name a queue', () => {
    expect(() => readMappings(withEvents({ rabbitmq: { arn } }), url)).toThrow('functions.consume');
  });

  it('are told apart when they filter', () => {
    expect(functionsWithFilters(withEvents({ rabbitmq: { arn, queue: 'q', filterPatterns: [{}] } }))).toEqual(
      ['consume'],
    );
  });
});
