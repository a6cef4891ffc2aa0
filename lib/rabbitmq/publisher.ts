import { randomUUID } from 'node:crypto';
import type { ConfirmChannel, Options } from 'amqplib';
import { gather } from '#lib/concurrency/gather.ts';
import { deadQueue, pushQueue, recoveryQueue, retryQueue } from '#lib/contracts/queues.ts';
import { unavailable } from '#lib/domain/errors.ts';
import type { Broker } from './connection.ts';
import { declareTopology } from './topology.ts';

/** A command as JSON, or the bytes of a message. `messageId`: its id, if it has one. */
export type Publication = {
  queue: string;
  content: string | Buffer;
  messageId?: string;
  headers?: Record<string, string | number>;
};

/** A publication, and the promise of its confirm. */
type Waiting = {
  publication: Publication;
  messageId: string;
  isDone: boolean;
  confirmed: PromiseWithResolvers<void>;
};

const toWaiting = (publication: Publication): Waiting => ({
  publication,
  messageId: publication.messageId ?? randomUUID(),
  isDone: false,
  confirmed: Promise.withResolvers<void>(),
});

const confirm = (waiting: Waiting): void => {
  waiting.isDone = true;
  waiting.confirmed.resolve();
};

const fail = (waiting: Waiting, error: unknown): void => {
  waiting.isDone = true;
  waiting.confirmed.reject(error);
};

const optionsOf = ({ publication: { headers }, messageId }: Waiting): Options.Publish => ({
  persistent: true,
  mandatory: true,
  contentType: 'application/json',
  contentEncoding: 'utf-8',
  timestamp: Math.floor(Date.now() / 1000),
  messageId,
  ...(headers === undefined ? {} : { headers }),
});

const returnKey = (queue: unknown, messageId: unknown) => `${queue} ${messageId}`;

/** Messages that the broker returned because their queue is missing. A return precedes its confirm. */
const returnsByChannel = new WeakMap<ConfirmChannel, Set<string>>();
const returnsOf = (channel: ConfirmChannel): Set<string> => {
  const known = returnsByChannel.get(channel);
  if (known !== undefined) return known;
  const returns = new Set<string>();
  returnsByChannel.set(channel, returns);
  channel.on('return', ({ fields, properties }) => {
    returns.add(returnKey(fields.routingKey, properties.messageId));
  });
  return returns;
};

/**
 * Publishes to the default exchange, and ends when the broker has answered for all. Each publication ends at its confirm.
 * A missing queue fails only its own publications.
 * @throws the broker's refusal, or the reason why the channel was closed; the rest is then unconfirmed
 */
const publishAll = (channel: ConfirmChannel, batch: readonly Waiting[]): Promise<void> => {
  const returns = returnsOf(channel);
  const open = batch.filter(({ isDone }) => !isDone);
  return new Promise((resolve, reject) => {
    let left = open.length;
    let refusal: unknown;
    const answered = () => {
      left -= 1;
      if (left > 0) return;
      if (refusal === undefined) resolve();
      else reject(refusal);
    };
    if (left === 0) resolve();
    for (const waiting of open) {
      const { queue, content } = waiting.publication;
      const buffer = typeof content === 'string' ? Buffer.from(content) : content;
      channel.publish('', queue, buffer, optionsOf(waiting), (error: unknown) => {
        if (error) {
          refusal = error;
        } else if (returns.delete(returnKey(queue, waiting.messageId))) {
          fail(
            waiting,
            unavailable(
              'The message broker does not answer.',
              new Error(`RabbitMQ has no queue ${queue}: run migrate, or wait for relayOutbox to declare it`),
            ),
          );
        } else {
          confirm(waiting);
        }
        answered();
      });
    }
  });
};

/** The most publications that await their confirms together, which bounds the channel's buffer. */
const CHUNK = 1_000;

export const createPublisher = (broker: Broker, queues: readonly string[]) => {
  /** Never rejects: each publication ends by itself. */
  const publishInChunks = async (batch: readonly Waiting[], waitMs: number | undefined): Promise<void> => {
    for (let from = 0; from < batch.length; from += CHUNK) {
      const chunk = batch.slice(from, from + CHUNK);
      try {
        await broker.withChannel((channel) => publishAll(channel, chunk), waitMs);
      } catch (error) {
        for (const waiting of chunk) if (!waiting.isDone) fail(waiting, error);
      }
    }
  };

  /** Publications of one turn of the event loop share a write, a timer and a check of the connection. */
  const publishOne = gather(
    async (items: readonly { publication: Publication; waitMs: number | undefined }[]) => {
      const batches = new Map<number | undefined, Waiting[]>();
      const all = items.map(({ publication, waitMs }) => {
        const waiting = toWaiting(publication);
        const batch = batches.get(waitMs);
        if (batch === undefined) batches.set(waitMs, [waiting]);
        else batch.push(waiting);
        return waiting;
      });
      for (const [waitMs, batch] of batches) void publishInChunks(batch, waitMs);
      return all.map(({ confirmed }) => confirmed.promise);
    },
    { size: Number.POSITIVE_INFINITY },
  );

  const publish = async (publications: readonly Publication[], waitMs?: number): Promise<void> => {
    await Promise.all(publications.map((publication) => publishOne({ publication, waitMs })));
  };

  return {
    /** @throws unavailable if the broker has not confirmed all of them in time; any of them may have arrived */
    publish,
    /**
     * Publishes an accepted command to the queue of its consumer, which is named after the command. A second consumer
     * would have a queue of its own, published here beside the first. @throws unavailable, as `publish` does
     */
    publishCommand: (
      queue: string,
      { id, content }: { id: string; content: string },
      waitMs: number,
    ): Promise<void> => publishOne({ publication: { queue, content, messageId: id }, waitMs }),
    /** Publishes a hint, together with a command of the same turn of the event loop. @throws unavailable, as `publish` does */
    publishSignal: (queue: string, signal: object, waitMs: number): Promise<void> =>
      publishOne({ publication: { queue, content: JSON.stringify(signal) }, waitMs }),
    /** Asks the function `recoverCounters` to run now. @throws unavailable */
    askForRecovery: (waitMs: number): Promise<void> =>
      publish([{ queue: recoveryQueue, content: '{}' }], waitMs),
    /** Declares the queues; see {@link declareTopology}. */
    declare: (): Promise<string[]> => declareTopology(broker, queues),
    /** The ready messages of a queue, its retry queue and its dead-letter queue, without delivered ones. @throws unavailable */
    depth: (queue: string): Promise<{ ready: number; retry: number; dead: number }> =>
      broker.withOwnChannel(async (channel) => {
        const main = await channel.checkQueue(queue);
        const retry = await channel.checkQueue(retryQueue(queue));
        const dead = await channel.checkQueue(deadQueue(queue));
        return {
          ready: main.messageCount,
          retry: retry.messageCount,
          dead: dead.messageCount,
        };
      }),
    /** The signals that wait for connections. @throws unavailable */
    waitingSignals: (): Promise<number> =>
      broker.withOwnChannel(async (channel) => (await channel.checkQueue(pushQueue)).messageCount),
    /** A round trip to the broker. @throws unavailable if it does not answer, or blocks publishers */
    ping: (): Promise<void> => broker.withOwnChannel(async () => undefined),
  };
};

export type Publisher = ReturnType<typeof createPublisher>;
