import type { Channel } from 'amqplib';

/** The companions of a command's queue. */
export const retryQueue = (queue: string) => `${queue}.retry`;
export const deadQueue = (queue: string) => `${queue}.dead`;

/** A deferred command comes back after this long. One value for all: a queue expires its messages at the head only. */
export const RETRY_DELAY_MS = 1_000;

/**
 * A throw puts a whole batch back as often as it takes. RabbitMQ 4 gives quorum queues a delivery limit of 20 where
 * none is set, after which a command would be set aside though nothing is wrong with it; every version takes a large
 * number. https://www.rabbitmq.com/docs/quorum-queues#poison-message-handling
 */
const DELIVERY_LIMIT = 1_000_000;

/** Declares every queue, durable and replicated; the same declaration may run any number of times. */
export const declareTopology = async (channel: Channel, queues: readonly string[]): Promise<void> => {
  for (const queue of queues) {
    await channel.assertQueue(deadQueue(queue), {
      durable: true,
      arguments: { 'x-queue-type': 'quorum' },
    });
    await channel.assertQueue(retryQueue(queue), {
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
    });
    await channel.assertQueue(queue, {
      durable: true,
      arguments: {
        'x-queue-type': 'quorum',
        'x-delivery-limit': DELIVERY_LIMIT,
        'x-dead-letter-exchange': '',
        'x-dead-letter-routing-key': deadQueue(queue),
      },
    });
  }
};
