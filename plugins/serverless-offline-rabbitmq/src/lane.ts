import type { ChannelModel, ConsumeMessage } from 'amqplib';
import { createChannelState } from './channel.ts';

/**
 * A separate channel for the messages of one batch. RabbitMQ counts a delivery for every message that a channel returns.
 * So messages that the function received share no channel with waiting messages, as far as sizes allow.
 */
export type Lane = {
  /** The number of messages that it receives after all earlier ones are acknowledged. */
  prefetch(): number;
  /** True while the broker may deliver more. */
  canReceive(): boolean;
  /** Deliveries that are neither acknowledged nor returned. */
  outstanding(): number;
  /** Receives `prefetch` more messages. Only for an unsealed lane that has received its earlier prefetch. */
  extend(prefetch: number): Promise<void>;
  isSealed(): boolean;
  /** Ends the consumer; resolves when nothing more arrives. Deliveries stay unacknowledged. */
  seal(): Promise<void>;
  /** Messages that are ready in the queue. Resolves undefined when the channel is lost. */
  countReady(): Promise<number | undefined>;
  /** Acknowledges `count` deliveries, the oldest first; `last` is the last of them. */
  acknowledge(last: ConsumeMessage, count: number): void;
  /** Returns `count` deliveries to the queue, the oldest first; `last` is the last of them. */
  requeue(last: ConsumeMessage, count: number): void;
  /** Drops one message; the queue's dead-letter exchange takes it, if there is one. */
  reject(message: ConsumeMessage): void;
  /** Closes the channel. Every outstanding delivery returns to its own place in the queue. */
  close(): Promise<void>;
};

type LaneOptions = {
  connection: ChannelModel;
  queue: string;
  prefetch: number;
  consumerTag: string;
  onMessage: (message: ConsumeMessage, lane: Lane) => void;
  /** The channel closed without `close`, or the broker ended the consumer because its queue was deleted or moved. */
  onLost: (why: 'closed' | 'cancelled') => void;
};

/**
 * Begins to consume.
 *
 * @throws Error of amqplib when the queue does not exist or the connection is lost
 */
export const openLane = async (options: LaneOptions): Promise<Lane> => {
  const channel = await options.connection.createChannel();
  const state = createChannelState(channel, () => options.onLost('closed'));
  const { unlessLost } = state;
  const counts = { outstanding: 0, credit: 0, prefetch: 0, consumers: 0 };
  let sealing: Promise<void> | undefined;
  // A queue returns the messages of a lost channel in the order of its consumers' tags.
  const tag = () => `${options.consumerTag}/${String(counts.consumers).padStart(3, '0')}`;
  const settle = (count: number, send: () => void) => {
    if (!state.isOpen()) return;
    counts.outstanding -= count;
    if (counts.outstanding === 0) counts.credit = counts.prefetch;
    send();
  };

  const receive = (message: ConsumeMessage | null) => {
    if (message === null) {
      options.onLost('cancelled');
      return;
    }
    counts.outstanding += 1;
    counts.credit -= 1;
    options.onMessage(message, lane);
  };
  const consume = async (prefetch: number) => {
    if (counts.consumers > 0) await channel.cancel(tag());
    counts.consumers += 1;
    counts.credit = prefetch;
    counts.prefetch = prefetch;
    await channel.prefetch(prefetch);
    await channel.consume(options.queue, receive, { consumerTag: tag() });
  };

  const lane: Lane = {
    prefetch: () => counts.prefetch,
    canReceive: () => state.isOpen() && sealing === undefined && counts.credit > 0,
    outstanding: () => counts.outstanding,
    extend: (prefetch) => state.orReject(() => consume(prefetch)),
    isSealed: () => sealing !== undefined,
    seal: () => {
      sealing ??= unlessLost(() => channel.cancel(tag())).then(() => undefined);
      return sealing;
    },
    countReady: async () => (await unlessLost(() => channel.checkQueue(options.queue)))?.messageCount,
    acknowledge: (last, count) => settle(count, () => channel.ack(last, true)),
    requeue: (last, count) => settle(count, () => channel.nack(last, true, true)),
    reject: (message) => {
      counts.credit += 1;
      settle(1, () => channel.reject(message, false));
    },
    close: () => state.close(),
  };
  await state.opening(() => consume(options.prefetch));
  return lane;
};
