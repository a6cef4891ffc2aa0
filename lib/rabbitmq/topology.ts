import type { Options } from 'amqplib';
import { deadQueue, recoveryQueue, retryQueue } from '#lib/contracts/queues.ts';
import type { Broker } from './connection.ts';

/**
 * The queues that take each accepted command; the first is its own consumer's. To give a command another consumer, add
 * a queue here, and declare it: the publisher publishes to all, and waits for all confirms.
 */
export const destinations: Readonly<Record<string, readonly string[]>> = {
  'create-application': ['create-application'],
  'update-application': ['update-application'],
  'create-chat': ['create-chat'],
  'create-message': ['create-message'],
  'update-message': ['update-message'],
};

/** A deferred command comes back after this long. One value for all: a queue expires its messages at the head only. */
export const RETRY_DELAY_MS = 1_000;

/**
 * A throw puts a whole batch back as often as it takes, and a look at the dead letters puts them back too. RabbitMQ 4
 * gives quorum queues a delivery limit of 20 where none is set, after which a message is set aside or, in a queue
 * without a dead-letter exchange, dropped; every version takes a large number.
 * https://www.rabbitmq.com/docs/quorum-queues#poison-message-handling
 */
const DELIVERY_LIMIT = 1_000_000;

type Declaration = { name: string; options: Options.AssertQueue };

/** Its messages say nothing: one that waits is enough, and an old one is no loss. */
const recoveryDeclaration: Declaration = {
  name: recoveryQueue,
  options: {
    durable: true,
    arguments: {
      'x-queue-type': 'quorum',
      'x-delivery-limit': DELIVERY_LIMIT,
      'x-max-length': 100,
      'x-message-ttl': 60_000,
    },
  },
};

const declarationsOf = (queue: string): Declaration[] => [
  {
    name: deadQueue(queue),
    options: {
      durable: true,
      arguments: { 'x-queue-type': 'quorum', 'x-delivery-limit': DELIVERY_LIMIT },
    },
  },
  {
    name: retryQueue(queue),
    options: {
      durable: true,
      arguments: {
        'x-queue-type': 'quorum',
        'x-dead-letter-exchange': '',
        'x-dead-letter-routing-key': queue,
        // An expired command leaves this queue only when the other has confirmed it.
        'x-dead-letter-strategy': 'at-least-once',
        'x-overflow': 'reject-publish',
        'x-message-ttl': RETRY_DELAY_MS,
      },
    },
  },
  {
    name: queue,
    options: {
      durable: true,
      arguments: {
        'x-queue-type': 'quorum',
        'x-delivery-limit': DELIVERY_LIMIT,
        'x-dead-letter-exchange': '',
        'x-dead-letter-routing-key': deadQueue(queue),
      },
    },
  },
];

/** The broker's answer to a declaration of a queue that exists with other arguments. */
const isOtherwiseDeclared = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && error.code === 406;

/**
 * Declares every queue, durable and replicated; the same declaration may run any number of times.
 * @returns queues that an older version declared otherwise: they are left as they are, since only an empty queue can be
 * made anew
 * @throws unavailable
 */
export const declareTopology = async (broker: Broker, queues: readonly string[]): Promise<string[]> => {
  const left = [...queues.flatMap(declarationsOf), recoveryDeclaration];
  const kept: string[] = [];
  while (left.length > 0) {
    // A refused declaration ends its channel: the rest goes on with the next.
    await broker.withOwnChannel(async (channel) => {
      for (let next = left[0]; next !== undefined; next = left[0]) {
        try {
          await channel.assertQueue(next.name, next.options);
        } catch (error) {
          if (!isOtherwiseDeclared(error)) throw error;
          kept.push(next.name);
          left.shift();
          return;
        }
        left.shift();
      }
    });
  }
  return kept;
};
