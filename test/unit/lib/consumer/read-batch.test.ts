import { expect, it } from 'vitest';
import * as z from 'zod';
import { messagesOf, readMessages } from '#lib/consumer/read-batch.ts';
import { rabbitmqEventOf } from '../../../support/rabbitmq-event.ts';

const schema = z.object({ name: z.string() });

it.each<[string, unknown]>([
  ['nothing', {}],
  ['null', null],
  ['undefined', undefined],
  ['a text', 'hello'],
  ['a list', []],
  ['ActiveMQ', { eventSource: 'aws:mq', messages: [] }],
  ['SQS', { Records: [{ eventSource: 'aws:sqs', body: '{}' }] }],
  ['an HTTP API', { version: '2.0', routeKey: 'GET /', requestContext: { http: { method: 'GET' } } }],
  ['no virtual host', { eventSource: 'aws:rmq', rmqMessagesByQueue: { 'create-chat': [] } }],
  ['no list of messages', { eventSource: 'aws:rmq', rmqMessagesByQueue: { 'create-chat::/': {} } }],
])('refuses an event of another kind in one line: %s', (_what, event) => {
  expect(() => messagesOf(event)).toThrow(/^Not an event of Amazon MQ for RabbitMQ.*$/);
});

it('takes a command that begins with a byte order mark', () => {
  const messages = messagesOf(
    rabbitmqEventOf(
      'create-thing',
      { content: '\ufeff{"name":"one"}' },
      { content: '{"name":"\ufefftwo"}' },
      { content: '\ufeff\ufeff{"name":"twice"}' },
    ),
  );
  const { items, malformed } = readMessages(messages, schema, { maxAttempts: 1, takesBarriers: true });
  expect(items).toMatchObject([
    { received: { command: { name: 'one' } } },
    { received: { command: { name: '\ufefftwo' } } },
  ]);
  expect(malformed).toMatchObject([{ reason: 'malformed: not JSON' }]);
});
