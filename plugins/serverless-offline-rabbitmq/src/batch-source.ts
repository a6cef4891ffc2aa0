import { setTimeout as delay } from 'node:timers/promises';
import type { ChannelModel, ConsumeMessage } from 'amqplib';
import { type BatchLimits, createBatchingWindow } from './batching-window.ts';
import { basicPropertiesOf, recordBytesOf } from './event.ts';
import type { BasicProperties } from './event-types.ts';
import { type Lane, openLane } from './lane.ts';

/** A message that waits for the function or that the function received. Its body is kept once, as it arrived. */
export type Delivery = {
  lane: Lane;
  message: ConsumeMessage;
  basicProperties: BasicProperties;
  /** The size of its record in the payload. */
  bytes: number;
};

export type BatchSource = {
  /**
   * The next batch in the queue's order; undefined once the source has ended.
   * After `giveBack` it is the returned batch.
   */
  next(): Promise<Delivery[] | undefined>;
  acknowledge(batch: readonly Delivery[]): void;
  /** Returns only this batch to the queue. Other deliveries stay here. */
  giveBack(batch: readonly Delivery[]): Promise<void>;
  /** Hands out no further batch. A batch that was handed out can still be acknowledged. */
  stop(): void;
  /** Closes every channel. Messages without an acknowledgement return to the queue. */
  close(): Promise<void>;
  /** True when the broker ended a consumer because the queue was deleted or moved. */
  isCancelled(): boolean;
};

type BatchSourceOptions = {
  connection: ChannelModel;
  queue: string;
  limits: BatchLimits;
  consumerTag: string;
  /** Called for a message whose record alone exceeds `maxBytes`. The message is rejected. */
  onOversized: (message: ConsumeMessage) => void;
};

/** The share by which a smaller message lowers the estimated message size. */
const SIZE_WEIGHT = 1 / 8;
/** After this time without a delivery, messages that are ready in the queue belong to another consumer. */
const DELIVERY_GRACE_MS = 2_000;
/** The longest time until a returned message is ready again. After it, the message is gone. */
const RETURN_GRACE_MS = 250;
const POLL_MS = 2;
/**
 * While a function runs for longer than this, a second lane fetches its next batch. For a quicker function, its own lane
 * fills before another one would open.
 */
const PREFETCH_DELAY_MS = 10;

/**
 * Takes messages from one queue in its order. It fetches the next batch while the function runs, so batches are full
 * while the queue has a backlog. At most one lane can receive at any time, which preserves the order.
 *
 * @throws Error of amqplib if the queue cannot be consumed
 */
export const createBatchSource = async (options: BatchSourceOptions): Promise<BatchSource> => {
  const { limits } = options;
  const window = createBatchingWindow<Delivery>(limits);
  const sizes = createSizeEstimate(limits);
  const lanes = new Set<Lane>();
  /** The lane that receives, or received last. */
  let tail: Lane | undefined;
  let opening: Promise<void> | undefined;
  /** The number of returned messages that have not been delivered again. */
  let returned = 0;
  let prefetching: NodeJS.Timeout | undefined;
  let cancelled = false;
  let lastProgressAt = 0;
  const quietMs = () => performance.now() - lastProgressAt;

  const open = async (prefetch: number, keep: (delivery: Delivery) => void): Promise<Lane> => {
    const lane = await openLane({
      ...options,
      prefetch,
      onMessage: (message, lane) => {
        const basicProperties = basicPropertiesOf(message);
        const bytes = recordBytesOf(message, basicProperties);
        lastProgressAt = performance.now();
        sizes.add(bytes);
        if (bytes <= limits.maxBytes) return keep({ lane, message, basicProperties, bytes });
        lane.reject(message);
        options.onOversized(message);
      },
      onLost: (why) => {
        cancelled ||= why === 'cancelled';
        window.close();
      },
    });
    lastProgressAt = performance.now();
    lanes.add(lane);
    return lane;
  };
  const close = (lane: Lane) => {
    lanes.delete(lane);
    return lane.close();
  };

  /** Ensures that one lane can receive while a batch has room. */
  const extend = (): Promise<void> => {
    if (opening === undefined && returned === 0 && tail?.canReceive() !== true && !window.isFull()) {
      opening = receiveMore().finally(() => {
        opening = undefined;
      });
    }
    return opening ?? Promise.resolve();
  };
  const receiveMore = async () => {
    const missing = sizes.fitting(window.room());
    // The open batch already has the tail's messages, and nothing else is on its channel.
    if (tail !== undefined && window.size() > 0 && !tail.isSealed()) {
      if (missing > 0) return tail.extend(missing);
      // A queue with a single active consumer delivers to the next one after this one has ended.
      void tail.seal();
    }
    tail = await open(missing > 0 ? missing : sizes.fitting(), keepLast);
  };
  const extendInBackground = () => {
    extend().catch(window.close);
  };
  const keepLast = (delivery: Delivery) => {
    window.add(delivery, delivery.bytes);
    if (!delivery.lane.canReceive()) extendInBackground();
  };

  /** After this, no message arrives until `extend`. */
  const sealTail = async () => {
    await opening?.catch(() => undefined);
    if (tail?.canReceive() !== true) return;
    await tail.seal();
    if (tail.outstanding() === 0) await close(tail);
  };

  /** True if ready messages are still in transit to the lane. */
  const isFilling = async (lane: Lane | undefined): Promise<boolean> => {
    if (lane?.canReceive() !== true || quietMs() > DELIVERY_GRACE_MS) return false;
    const ready = await lane.countReady();
    return ready !== undefined && ready > 0;
  };

  /** The messages of the returned batch that are delivered again. */
  const takeReturned = async (): Promise<Delivery[]> => {
    const again = createBatchingWindow<Delivery>(limits);
    // A message of a first delivery is newer than all waiting ones.
    const lane = await open(returned, (delivery) =>
      (delivery.message.fields.redelivered ? again : window).add(delivery, delivery.bytes),
    );
    while (lane.canReceive() && (quietMs() < RETURN_GRACE_MS || (await isFilling(lane))))
      await delay(POLL_MS);
    await lane.seal();
    if (lane.outstanding() === 0) await close(lane);
    returned = 0;
    const batch = again.take();
    window.addFirst(again.take().map((item) => ({ item, bytes: item.bytes })));
    return batch;
  };

  const takeNext = async (): Promise<Delivery[] | undefined> => {
    for (;;) {
      await extend();
      const ready = await window.ready();
      if (ready === 'closed') return undefined;
      await extend();
      if (ready === 'due' && (await isFilling(tail))) {
        await delay(POLL_MS);
        continue;
      }
      await sealTail();
      const batch = window.take();
      if (batch.length === 0) continue;
      prefetching = setTimeout(extendInBackground, PREFETCH_DELAY_MS);
      return batch;
    }
  };

  await extend();
  return {
    next: async () => {
      try {
        const again = returned > 0 ? await takeReturned() : [];
        return again.length > 0 ? again : await takeNext();
      } catch {
        // The channel or the queue was lost. The next subscription reports the reason.
        return undefined;
      }
    },
    acknowledge: (batch) => {
      clearTimeout(prefetching);
      for (const { lane, last, count } of byLane(batch)) {
        const isNeeded = opening === undefined && tail?.canReceive() !== true;
        const isReusable = lane.outstanding() === count && lane.prefetch() === sizes.fitting();
        // This comes before the acknowledgement, which would let the lane receive beside the tail.
        if (!(isNeeded && isReusable)) void lane.seal();
        lane.acknowledge(last, count);
        if (lane.canReceive()) tail = lane;
        else if (lane.outstanding() === 0) void close(lane);
      }
    },
    giveBack: async (batch) => {
      clearTimeout(prefetching);
      returned = batch.length;
      await sealTail();
      for (const { lane, last, count } of byLane(batch)) {
        // Closing keeps every message in its place. A nack puts it at the end of a quorum queue that has no delivery
        // limit (RabbitMQ 3), but it spares the messages that the function did not receive.
        if (lane.outstanding() === count) await close(lane);
        else {
          await lane.seal();
          lane.requeue(last, count);
        }
      }
    },
    stop: window.close,
    close: async () => {
      clearTimeout(prefetching);
      window.close();
      await Promise.all([...lanes].map(close));
    },
    isCancelled: () => cancelled,
  };
};

/** Follows the size of messages, to fetch no more than a batch can hold. It rises at once and falls slowly. */
const createSizeEstimate = ({ maxItems, maxBytes }: BatchLimits) => {
  // Without an earlier message the estimate is the maximum, so one message is fetched.
  let estimate = maxBytes;
  let isFirst = true;
  return {
    add: (bytes: number) => {
      estimate = isFirst ? bytes : Math.max(bytes, estimate + (bytes - estimate) * SIZE_WEIGHT);
      isFirst = false;
    },
    /** The number of messages that fit into the rest of a batch, by count and by their usual size. */
    fitting: (room?: { items: number; bytes: number }) =>
      room === undefined
        ? Math.max(1, Math.min(maxItems, Math.floor(maxBytes / estimate)))
        : Math.min(room.items, Math.floor(room.bytes / estimate)),
  };
};

/** The lanes of a batch in order, with how many deliveries of it each has and the last of them. */
const byLane = (batch: readonly Delivery[]) => {
  const shares = new Map<Lane, { lane: Lane; last: ConsumeMessage; count: number }>();
  for (const { lane, message } of batch) {
    shares.set(lane, { lane, last: message, count: (shares.get(lane)?.count ?? 0) + 1 });
  }
  return shares.values();
};
