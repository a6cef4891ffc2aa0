import { EventEmitter } from 'node:events';
import type { ConfirmChannel } from 'amqplib';
import { expect, test } from 'vitest';
import type { Broker } from '#lib/rabbitmq/connection.ts';
import { createPublisher } from '#lib/rabbitmq/publisher.ts';

type Published = { queue: string; content: string; options: { messageId: string } };
type Answer = (published: Published, channel: EventEmitter) => Error | null;

/** A broker that gives these answers to publishes, in order. A channel that it closes is replaced once. */
const createBroker = (...answers: Answer[]) => {
  const published: Published[] = [];
  let runs = 0;
  const channelOf = (answer: Answer): ConfirmChannel => {
    const channel = Object.assign(new EventEmitter(), {
      publish: (
        _exchange: string,
        queue: string,
        content: Buffer,
        options: Published['options'],
        done: (error: Error | null) => void,
      ) => {
        const one = { queue, content: content.toString(), options };
        published.push(one);
        setImmediate(() => done(answer(one, channel)));
        return true;
      },
    });
    return channel as unknown as ConfirmChannel;
  };
  const channels = answers.map(channelOf);
  const withChannel: Broker['withChannel'] = async (work) => {
    for (let tries = 0; ; tries += 1) {
      runs += 1;
      const channel = channels[Math.min(tries, channels.length - 1)];
      if (channel === undefined) throw new Error('No channel');
      try {
        return await work(channel);
      } catch (error) {
        if (tries + 1 >= channels.length) throw error;
      }
    }
  };
  const broker = { withChannel } as Broker;
  return { publisher: createPublisher(broker, []), published, runs: () => runs };
};
const confirm: Answer = () => null;

test('publications of one tick go out together', async () => {
  const { publisher, published, runs } = createBroker(confirm);
  await Promise.all(
    ['1', '2', '3'].map((id) =>
      publisher.publishCommand('create-chat', { id, content: `{"id":${id}}` }, 1_000),
    ),
  );
  expect(published.map(({ queue, options }) => `${queue} ${options.messageId}`)).toEqual([
    'create-chat 1',
    'create-chat 2',
    'create-chat 3',
  ]);
  expect(runs()).toBe(1);
});

test('a call ends with the last of its confirms', async () => {
  const confirmed: string[] = [];
  const { publisher } = createBroker(({ content }) => {
    confirmed.push(content);
    return null;
  });
  await publisher.publish([]);
  const first = publisher.publish(['1', '2', '3'].map((content) => ({ queue: 'q', content })));
  const second = publisher.publish([{ queue: 'q', content: '4' }]);
  await first;
  expect(confirmed).toEqual(['1', '2', '3']);
  await second;
  expect(confirmed).toEqual(['1', '2', '3', '4']);
});

test('a queue that is not there fails its own publications only', async () => {
  const { publisher } = createBroker((one, channel) => {
    if (one.queue === 'gone')
      channel.emit('return', {
        fields: { routingKey: one.queue },
        properties: { messageId: one.options.messageId },
      });
    return null;
  });
  const answers = await Promise.allSettled([
    publisher.publish([{ queue: 'here', content: '{}', messageId: '1' }]),
    publisher.publish([{ queue: 'gone', content: '{}', messageId: '1' }]),
    publisher.publish([{ queue: 'here', content: '{}' }]),
  ]);
  expect(answers.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  expect(answers[1]).toMatchObject({ reason: { code: 'unavailable' } });
});

test('a channel that closes half way is replaced, and gets only unconfirmed publications', async () => {
  const { publisher, published } = createBroker(
    ({ content }) => (content === 'first' ? null : new Error('channel closed')),
    confirm,
  );
  await publisher.publish(['first', 'second', 'third'].map((content) => ({ queue: 'q', content })));
  expect(published.map(({ content }) => content)).toEqual(['first', 'second', 'third', 'second', 'third']);
});

test('a refusal of the broker fails the unconfirmed publications', async () => {
  const { publisher } = createBroker(({ content }) => (content === 'good' ? null : new Error('nack')));
  const answers = await Promise.allSettled([
    publisher.publish([{ queue: 'q', content: 'good' }]),
    publisher.publish([{ queue: 'q', content: 'bad' }]),
  ]);
  expect(answers.map(({ status }) => status)).toEqual(['fulfilled', 'rejected']);
});
