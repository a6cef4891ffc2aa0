import type { Options } from 'amqplib';
import { deadQueue, laterPushQueue, pushQueue, recoveryQueue, retryQueue } from '#lib/contracts/queues.ts';
import { socketLimits } from '#lib/domain/socket-limits.ts';
import type { Broker } from './connection.ts';

/** A deferred command returns after this time. All have the same, because a queue expires messages only at its head. */
export const RETRY_DELAY_MS = 1_000;

/**
 * The delivery limit must never act. A throw returns a whole batch to the queue as often as necessary, and reading dead
 * letters returns them, too. By default RabbitMQ 4 dead-letters or drops a message of a quorum queue after 20 deliveries.
 * Every version accepts a large number.
 * https://www.rabbitmq.com/docs/quorum-queues#poison-message-handling
 */
const DELIVERY_LIMIT = 1_000_000;

type Declaration = { name: string; options: Options.AssertQueue };

/** Messages of this queue are only a signal. One waiting message is enough, and losing an old one does no harm. */
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

/** A signal helps for a moment only, and clients find missed changes by themselves. So the oldest go first. */
const MOST_SIGNALS = 100_000;
const SIGNAL_MS = 60_000;

const pushDeclarations: Declaration[] = [
  {
    name: pushQueue,
    options: {
      durable: true,
      arguments: {
        'x-queue-type': 'quorum',
        'x-delivery-limit': DELIVERY_LIMIT,
        'x-max-length': MOST_SIGNALS,
        'x-overflow': 'drop-head',
        'x-message-ttl': SIGNAL_MS,
      },
    },
  },
  {
    name: laterPushQueue,
    options: {
      durable: true,
      arguments: {
        'x-queue-type': 'quorum',
        'x-dead-letter-exchange': '',
        'x-dead-letter-routing-key': pushQueue,
        'x-max-length': MOST_SIGNALS,
        'x-overflow': 'drop-head',
        'x-message-ttl': socketLimits.authenticateMs,
      },
    },
  },
];

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
        // An expired command leaves this queue only after the other queue has confirmed it.
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
 * Declares every queue as durable and replicated. May run any number of times.
 * @returns the queues that an older version declared with other arguments. They stay unchanged, because only an empty
 * queue can be replaced.
 * @throws unavailable
 */
export const declareTopology = async (broker: Broker, queues: readonly string[]): Promise<string[]> => {
  const left = [...queues.flatMap(declarationsOf), recoveryDeclaration, ...pushDeclarations];
  const kept: string[] = [];
  while (left.length > 0) {
    // A refused declaration ends its channel, so the rest continues on the next one.
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
