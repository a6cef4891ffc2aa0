import type { ConfirmChannel, Options } from 'amqplib';
import type { Broker } from './connection.ts';
import { deadQueue, declareTopology, retryQueue } from './topology.ts';

/** A command as JSON, or the bytes of a message. `messageId`: its id, where it has one. */
export type Publication = {
  queue: string;
  content: string | Buffer;
  messageId?: string;
  headers?: Record<string, string | number>;
};

const optionsOf = ({ messageId, headers }: Publication): Options.Publish => ({
  persistent: true,
  mandatory: true,
  contentType: 'application/json',
  contentEncoding: 'utf-8',
  timestamp: Math.floor(Date.now() / 1000),
  ...(messageId === undefined ? {} : { messageId }),
  ...(headers === undefined ? {} : { headers }),
});

const bytesOf = ({ content }: Publication): Buffer =>
  typeof content === 'string' ? Buffer.from(content) : content;

let sequence = 0;

/** Publishes to the default exchange and waits until the broker has confirmed all; a queue that is not there fails it. */
const publishAll = async (channel: ConfirmChannel, publications: readonly Publication[]): Promise<void> => {
  /** Queues of what came back, by the tag it was published with. */
  const returned = new Map<string, string>();
  const tags = new Set<string>();
  const onReturn = ({
    fields,
    properties,
  }: {
    fields: { routingKey?: unknown };
    properties: { correlationId?: unknown };
  }) => {
    if (typeof properties.correlationId === 'string')
      returned.set(properties.correlationId, String(fields.routingKey));
  };
  channel.on('return', onReturn);
  try {
    await Promise.all(
      publications.map((publication) => {
        sequence += 1;
        const correlationId = `${process.pid}-${sequence}`;
        tags.add(correlationId);
        return new Promise<void>((resolve, reject) => {
          channel.publish(
            '',
            publication.queue,
            bytesOf(publication),
            { ...optionsOf(publication), correlationId },
            (error) => (error ? reject(error) : resolve()),
          );
        });
      }),
    );
    // A return comes before its confirm.
    for (const tag of tags) {
      const queue = returned.get(tag);
      if (queue !== undefined)
        throw new Error(
          `RabbitMQ has no queue "${queue}": run migrate, or wait for relayOutbox to declare it`,
        );
    }
  } finally {
    channel.off('return', onReturn);
  }
};

/** A batch confirms together; one call's share keeps the channel's buffer bounded. */
const CHUNK = 1_000;

export const createPublisher = (broker: Broker, queues: readonly string[]) => ({
  /** @throws unavailable when the broker has not confirmed all of them in time: any of them may have arrived */
  publish: async (publications: readonly Publication[], waitMs?: number): Promise<void> => {
    for (let from = 0; from < publications.length; from += CHUNK) {
      const chunk = publications.slice(from, from + CHUNK);
      await broker.withChannel((channel) => publishAll(channel, chunk), waitMs);
    }
  },
  /** Declares the queues; see {@link declareTopology}. */
  declare: (): Promise<string[]> => declareTopology(broker, queues),
  /** Messages that are ready in a queue and in its companions, those being worked on left out. @throws unavailable */
  depth: (queue: string): Promise<{ ready: number; retry: number; dead: number; consumers: number }> =>
    broker.withOwnChannel(async (channel) => {
      const main = await channel.checkQueue(queue);
      const retry = await channel.checkQueue(retryQueue(queue));
      const dead = await channel.checkQueue(deadQueue(queue));
      return {
        ready: main.messageCount,
        retry: retry.messageCount,
        dead: dead.messageCount,
        consumers: main.consumerCount,
      };
    }),
  /** A round trip to the broker. @throws unavailable when it does not answer, or takes no publishes */
  ping: (): Promise<void> => broker.withOwnChannel(async () => undefined),
});

export type Publisher = ReturnType<typeof createPublisher>;
