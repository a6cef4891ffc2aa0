import { setTimeout as delay } from 'node:timers/promises';
import type { Channel, ConsumeMessage } from 'amqplib';
import { BatchingWindow } from './batching-window.ts';
import { type Broker, type Log, reasonOf } from './broker.ts';
import { buildEvent, buildRecord, payloadBytesOf, type RabbitmqEvent, type RabbitmqRecord } from './event.ts';
import type { MappingSettings } from './settings.ts';

/** The largest payload that Lambda takes in a synchronous invocation. */
export const MAX_PAYLOAD_BYTES = 6 * 1024 * 1024;

/** With a window of 0 a batch still takes what arrives within this time, so that a backlog makes real batches. */
const SHORTEST_WINDOW_MS = 5;
/** How soon a queue that is not there is looked for again. */
const ABSENT_QUEUE_DELAY_MS = 1000;

/** The delay before a failed batch is delivered again: the first, doubled with each failure, up to the last. */
interface RetryDelays {
  firstMs: number;
  lastMs: number;
}

const RETRY_DELAYS: RetryDelays = { firstMs: 200, lastMs: 10_000 };

/** Runs the function with one event; rejects when the function throws or times out. */
export type Invoke = (event: RabbitmqEvent) => Promise<void>;

interface Delivery {
  message: ConsumeMessage;
  record: RabbitmqRecord;
}

/** An open channel that consumes the queue, and the window its messages gather in. */
interface Subscription {
  channel: Channel;
  window: BatchingWindow<Delivery>;
  /** By the broker: the queue is being deleted, or moves. */
  cancelled: boolean;
}

/**
 * Feeds one function from one queue as an Amazon MQ event source mapping does: one batch at a time, in the queue's
 * order; a batch is acknowledged when the function returns, and goes back to the queue whole when it throws.
 */
export class EventSourceMapping {
  readonly #settings: MappingSettings;
  readonly #broker: Broker;
  readonly #invoke: Invoke;
  readonly #log: Log;
  readonly #retryDelays: RetryDelays;
  readonly #name: string;
  readonly #maxRecordsBytes: number;
  readonly #stopping = new AbortController();
  #running: Promise<void> = Promise.resolve();
  #window: BatchingWindow<Delivery> | undefined;
  #invoking = false;
  #failures = 0;
  #outage: string | undefined;

  constructor(
    settings: MappingSettings,
    broker: Broker,
    invoke: Invoke,
    log: Log,
    retryDelays: RetryDelays = RETRY_DELAYS,
  ) {
    this.#settings = settings;
    this.#broker = broker;
    this.#invoke = invoke;
    this.#log = log;
    this.#retryDelays = retryDelays;
    this.#name = `${settings.queue}::${settings.virtualHost} → ${settings.functionKey}`;
    this.#maxRecordsBytes = MAX_PAYLOAD_BYTES - Buffer.byteLength(JSON.stringify(buildEvent(settings, [])));
  }

  /** Begins to consume, as soon as the broker and the queue are there. */
  start(): void {
    this.#running = this.#run();
  }

  /**
   * Takes no further batch and waits for the one that runs, at most `graceMs`; after that it counts as failed and
   * will be delivered again. Messages that wait for a batch go back to the queue when the broker is closed.
   */
  async stop(graceMs: number): Promise<void> {
    this.#stopping.abort();
    this.#window?.close();
    if (!this.#invoking) return;
    const graceOver = new AbortController();
    await Promise.race([this.#running, this.#warnAfter(graceMs, graceOver.signal)]);
    graceOver.abort();
  }

  async #warnAfter(graceMs: number, signal: AbortSignal): Promise<void> {
    await pause(graceMs, signal);
    if (!signal.aborted && this.#invoking) {
      this.#log.warning(
        `${this.#name}: the batch still runs after ${graceMs} ms; it will be delivered again.`,
      );
    }
  }

  async #run(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      const subscription = await this.#subscribe();
      if (subscription === undefined) {
        await pause(ABSENT_QUEUE_DELAY_MS, this.#stopping.signal);
        continue;
      }
      const failure = await this.#consume(subscription);
      await giveBack(subscription.channel);
      // RabbitMQ 4 ends the whole connection of who consumes a quorum queue that it has not quite deleted yet.
      if (subscription.cancelled) await pause(ABSENT_QUEUE_DELAY_MS, this.#stopping.signal);
      if (failure !== undefined) {
        const delayMs = Math.min(this.#retryDelays.firstMs * 2 ** this.#failures, this.#retryDelays.lastMs);
        this.#failures += 1;
        this.#log.error(`${this.#name}: ${failure}; requeued, again in ${delayMs} ms.`);
        await pause(delayMs, this.#stopping.signal);
      }
    }
  }

  /** Undefined when the queue cannot be consumed now, which is logged once. */
  async #subscribe(): Promise<Subscription | undefined> {
    const { batchSize, batchingWindowMs, queue } = this.#settings;
    try {
      const connection = await this.#broker.connection();
      const channel = await connection.createChannel();
      // A channel's error also rejects the call that caused it, or is followed by 'close'.
      channel.on('error', () => undefined);
      const window = new BatchingWindow<Delivery>({
        maxItems: batchSize,
        maxBytes: this.#maxRecordsBytes,
        windowMs: Math.max(batchingWindowMs, SHORTEST_WINDOW_MS),
      });
      const subscription: Subscription = { channel, window, cancelled: false };
      channel.on('close', () => window.close());
      await channel.prefetch(batchSize);
      await channel.consume(queue, (message) => {
        // The broker cancels a consumer (null) when its queue is deleted or moves.
        if (message === null) {
          subscription.cancelled = true;
          window.close();
        } else this.#receive(message, channel, window);
      });
      if (this.#outage !== undefined) this.#log.notice(`${this.#name}: consuming.`);
      this.#outage = undefined;
      this.#window = window;
      if (this.#stopping.signal.aborted) window.close();
      return subscription;
    } catch (error) {
      this.#reportOutage(reasonOf(error));
      return undefined;
    }
  }

  #receive(message: ConsumeMessage, channel: Channel, window: BatchingWindow<Delivery>): void {
    const record = buildRecord(message);
    const bytes = payloadBytesOf(record);
    if (bytes > this.#maxRecordsBytes) {
      // AWS drops a record over the limit. Rejected, it at least reaches the queue's dead-letter exchange.
      channel.reject(message, false);
      this.#log.error(
        `${this.#name}: a message of ${message.content.length} bytes does not fit into Lambda's payload of ` +
          `${MAX_PAYLOAD_BYTES} bytes (in base64); rejected.`,
      );
      return;
    }
    window.add({ message, record }, bytes);
  }

  /**
   * Runs batch after batch until the subscription ends.
   *
   * @returns why the last batch failed; undefined when the subscription ended for another reason
   */
  async #consume({ channel, window }: Subscription): Promise<string | undefined> {
    for (;;) {
      const batch = await window.next();
      const last = batch?.at(-1);
      if (batch === undefined || last === undefined || this.#stopping.signal.aborted) return undefined;
      this.#invoking = true;
      try {
        const records = batch.map(({ record }) => record);
        await this.#invoke(buildEvent(this.#settings, records));
      } catch (error) {
        return `batch of ${batch.length} failed (${reasonOf(error)})`;
      } finally {
        this.#invoking = false;
      }
      this.#failures = 0;
      try {
        channel.ack(last.message, true);
      } catch {
        // The channel was lost while the function ran: the broker delivers the batch again.
        return undefined;
      }
    }
  }

  #reportOutage(reason: string): void {
    if (this.#stopping.signal.aborted) return;
    if (this.#outage === undefined) {
      this.#log.warning(`${this.#name}: not consuming (${reason}). Trying again until it works.`);
    }
    this.#outage = reason;
  }
}

/** Waits, or less long when the signal aborts. */
const pause = (ms: number, signal: AbortSignal): Promise<void> =>
  delay(ms, undefined, { signal }).catch(() => undefined);

/**
 * Closes the channel, so that all it holds unacknowledged goes back to the queue, each message to its own place.
 * A nack would not do: a quorum queue without a delivery limit puts nacked messages behind all others.
 */
const giveBack = async (channel: Channel): Promise<void> => {
  // amqplib never settles a `close` that the connection's end overtakes; the event comes in every case.
  const lost = new Promise<void>((resolve) => channel.once('close', resolve));
  await Promise.race([lost, channel.close().catch(() => undefined)]);
};
