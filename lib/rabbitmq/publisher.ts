import { randomUUID } from 'node:crypto';
import type { ConfirmChannel, Options } from 'amqplib';
import { deadQueue, recoveryQueue, retryQueue } from '#lib/contracts/queues.ts';
import { unavailable } from '#lib/domain/errors.ts';
import type { Broker } from './connection.ts';
import { declareTopology, destinations } from './topology.ts';

/** A command as JSON, or the bytes of a message. `messageId`: its id, if it has one. */
export type Publication = {
  queue: string;
  content: string | Buffer;
  messageId?: string;
  headers?: Record<string, string | number>;
};

/** Ends with the confirm of its last publication, or with the first failure. */
type Call = { left: number; resolve: () => void; reject: (error: unknown) => void };

/** A publication, and the call that waits for its confirm. */
type Waiting = { publication: Publication; messageId: string; isDone: boolean; call: Call };

const confirm = (waiting: Waiting): void => {
  if (waiting.isDone) return;
  waiting.isDone = true;
  waiting.call.left -= 1;
  if (waiting.call.left === 0) waiting.call.resolve();
};

const fail = (waiting: Waiting, error: unknown): void => {
  waiting.isDone = true;
  waiting.call.reject(error);
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
  /** The publications since the last tick, by their time limit. */
  const batches = new Map<number | undefined, Waiting[]>();

  const flush = async (waitMs: number | undefined): Promise<void> => {
    const batch = batches.get(waitMs) ?? [];
    batches.delete(waitMs);
    for (let from = 0; from < batch.length; from += CHUNK) {
      const chunk = batch.slice(from, from + CHUNK);
      try {
        await broker.withChannel((channel) => publishAll(channel, chunk), waitMs);
      } catch (error) {
        for (const waiting of chunk) if (!waiting.isDone) fail(waiting, error);
      }
    }
  };

  /** Publications of one tick share a write, a timer and a check of the connection. */
  const join = (waiting: readonly Waiting[], waitMs: number | undefined): void => {
    const batch = batches.get(waitMs);
    if (batch !== undefined) {
      batch.push(...waiting);
      return;
    }
    batches.set(waitMs, [...waiting]);
    process.nextTick(() => void flush(waitMs));
  };

  const publish = (publications: readonly Publication[], waitMs?: number): Promise<void> =>
    new Promise((resolve, reject) => {
      if (publications.length === 0) return resolve();
      const call: Call = { left: publications.length, resolve, reject };
      const waiting = publications.map((publication) => ({
        publication,
        messageId: publication.messageId ?? randomUUID(),
        isDone: false,
        call,
      }));
      join(waiting, waitMs);
    });

  return {
    /** @throws unavailable if the broker has not confirmed all of them in time; any of them may have arrived */
    publish,
    /** Publishes an accepted command to all its destinations. @throws unavailable, as `publish` does */
    publishCommand: async (
      command: string,
      { id, content }: { id: string; content: string },
      waitMs: number,
    ): Promise<void> => {
      const targets = destinations[command] ?? [command];
      return publish(
        targets.map((queue) => ({ queue, content, messageId: id })),
        waitMs,
      );
    },
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
    /** A round trip to the broker. @throws unavailable if it does not answer, or blocks publishers */
    ping: (): Promise<void> => broker.withOwnChannel(async () => undefined),
  };
};

export type Publisher = ReturnType<typeof createPublisher>;
