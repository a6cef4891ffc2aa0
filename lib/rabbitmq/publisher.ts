import type { ConfirmChannel, Options } from 'amqplib';
import type { Broker } from './connection.ts';
import { deadQueue, declareTopology, retryQueue } from './topology.ts';

/** A command as JSON. `messageId`: its id, where it has one. */
export type Publication = {
  queue: string;
  content: string;
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

let sequence = 0;

/** Publishes to the default exchange and waits until the broker has confirmed all; a queue that is not there fails it. */
const publishAll = async (channel: ConfirmChannel, publications: readonly Publication[]): Promise<void> => {
  const returned = new Set<string>();
  const tags = new Set<string>();
  const onReturn = ({ properties }: { properties: { correlationId?: unknown } }) => {
    if (typeof properties.correlationId === 'string') returned.add(properties.correlationId);
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
            Buffer.from(publication.content),
            { ...optionsOf(publication), correlationId },
            (error) => (error ? reject(error) : resolve()),
          );
        });
      }),
    );
    for (const tag of tags) {
      if (returned.has(tag)) throw new Error(`No queue named ${publications[0]?.queue}`);
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
  declare: () => broker.withChannel((channel) => declareTopology(channel, queues)),
  /** Messages that are ready in a queue and in its companions. */
  depth: (queue: string): Promise<{ ready: number; retry: number; dead: number; consumers: number }> =>
    broker.withChannel(async (channel) => {
      const [main, retry, dead] = [
        await channel.checkQueue(queue),
        await channel.checkQueue(retryQueue(queue)),
        await channel.checkQueue(deadQueue(queue)),
      ];
      return {
        ready: main.messageCount,
        retry: retry.messageCount,
        dead: dead.messageCount,
        consumers: main.consumerCount,
      };
    }),
  ping: () => broker.withChannel(async () => undefined),
});

export type Publisher = ReturnType<typeof createPublisher>;
