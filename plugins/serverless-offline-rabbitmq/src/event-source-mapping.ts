import { setTimeout as delay } from 'node:timers/promises';
import type { ChannelModel } from 'amqplib';
import { type BatchSource, createBatchSource, type Delivery } from './batch-source.ts';
import { type Broker, type Log, reasonOf } from './broker.ts';
import { buildEvent, buildRecord } from './event.ts';
import type { RabbitmqEvent } from './event-types.ts';
import { createFailureReport } from './failure-report.ts';
import { prepareQueue, StreamRefused } from './queue.ts';
import type { MappingSettings } from './settings.ts';

/** The largest payload that Lambda accepts in a synchronous invocation. */
export const MAX_PAYLOAD_BYTES = 6 * 1024 * 1024;

/** Even with a window of 0, a batch collects messages for this time, in milliseconds. */
const SHORTEST_WINDOW_MS = 5;
/** The interval between attempts to consume a missing queue. */
const ABSENT_QUEUE_DELAY_MS = 1000;

/** The delay before a failed batch is delivered again: the first, doubled with each failure, up to the last. */
type RetryDelays = {
  firstMs: number;
  lastMs: number;
};

const RETRY_DELAYS: RetryDelays = { firstMs: 200, lastMs: 10_000 };

/** Runs the function with one event; rejects when the function throws or times out. */
export type Invoke = (event: RabbitmqEvent) => Promise<void>;

export type EventSourceMapping = {
  /** Begins to consume as soon as the broker and the queue exist. */
  start(): void;
  /**
   * Takes no further batch, and waits at most `graceMs` for the running one. After that it counts as failed and will be
   * delivered again. Messages that wait for a batch return to the queue when the broker is closed.
   */
  stop(graceMs: number): Promise<void>;
};

/**
 * Feeds one function from one queue like an Amazon MQ event source mapping: one batch at a time, in the queue's order. If
 * the function returns, the batch is acknowledged. If it throws, the whole batch returns to the queue.
 */
export const createEventSourceMapping = (
  settings: MappingSettings,
  broker: Broker,
  invoke: Invoke,
  log: Log,
  retryDelays: RetryDelays = RETRY_DELAYS,
): EventSourceMapping => {
  const name = `${settings.queue}::${settings.virtualHost} → ${settings.functionKey}`;
  const outage = createOutageLog(name, log);
  const failureReport = createFailureReport(name, settings.reportAfterFailures ?? 0, log);
  const stopping = new AbortController();
  let running: Promise<void> = Promise.resolve();
  let source: BatchSource | undefined;
  let isInvoking = false;
  let isFirst = true;
  let failures = 0;

  const run = async () => {
    while (!stopping.signal.aborted) {
      source = await subscribe();
      if (source === undefined) {
        await pause(ABSENT_QUEUE_DELAY_MS, stopping.signal);
        continue;
      }
      if (stopping.signal.aborted) source.stop();
      await consume(source);
      await source.close();
      // RabbitMQ 4 ends the whole connection of a consumer of a quorum queue whose deletion is not complete.
      if (source.isCancelled()) await pause(ABSENT_QUEUE_DELAY_MS, stopping.signal);
    }
  };

  /** Undefined if the queue cannot be consumed now; this is logged once. */
  const subscribe = async (): Promise<BatchSource | undefined> => {
    try {
      const connection = await broker.connection();
      await prepare(connection);
      const subscribed = await createBatchSource({
        connection,
        queue: settings.queue,
        consumerTag: settings.consumerTag,
        limits: {
          maxItems: settings.batchSize,
          maxBytes: MAX_PAYLOAD_BYTES - Buffer.byteLength(JSON.stringify(buildEvent(settings, []))),
          windowMs: Math.max(settings.batchingWindowMs, SHORTEST_WINDOW_MS),
        },
        // AWS drops a record over the limit. A rejection at least sends it to the queue's dead-letter exchange.
        onOversized: ({ content }) =>
          log.error(
            `${name}: a message of ${content.length} bytes does not fit into Lambda's payload of ` +
              `${MAX_PAYLOAD_BYTES} bytes (in base64); rejected.`,
          ),
      });
      outage.end('consuming');
      return subscribed;
    } catch (error) {
      const isRefused = error instanceof StreamRefused;
      if (!stopping.signal.aborted) outage.begin(`not consuming (${reasonOf(error)})`, isRefused);
      return undefined;
    }
  };

  /** @throws as `prepareQueue` */
  const prepare = async (connection: ChannelModel) => {
    const { consumers, isNew } = await prepareQueue(connection, settings.queue, settings.autoCreate);
    if (isNew) log.notice(`${name}: the queue was declared, because it did not exist (autoCreate).`);
    if (isFirst && consumers > 0) {
      log.warning(
        `${name}: ${consumers} other consumer${consumers === 1 ? ' takes' : 's take'} from this queue, perhaps ` +
          'another "sls offline"; each message goes to one of them.',
      );
    }
    isFirst = false;
  };

  /** Runs batch after batch until the source ends. */
  const consume = async (from: BatchSource) => {
    for (;;) {
      const batch = await from.next();
      if (batch === undefined || stopping.signal.aborted) return;
      const failure = await runFunction(batch);
      if (failure === undefined) {
        failures = 0;
        failureReport.end();
        from.acknowledge(batch);
        continue;
      }
      await from.giveBack(batch);
      const delayMs = Math.min(retryDelays.firstMs * 2 ** failures, retryDelays.lastMs);
      failures += 1;
      log.error(`${name}: batch of ${batch.length} failed (${failure}); requeued, again in ${delayMs} ms.`);
      failureReport.add(batch, failure);
      await pause(delayMs, stopping.signal);
    }
  };

  /** @returns the reason why the batch failed; undefined if the function returned */
  const runFunction = async (batch: readonly Delivery[]): Promise<string | undefined> => {
    isInvoking = true;
    try {
      const records = batch.map(({ message, basicProperties }) => buildRecord(message, basicProperties));
      await invoke(buildEvent(settings, records));
      return undefined;
    } catch (error) {
      return reasonOf(error);
    } finally {
      isInvoking = false;
    }
  };

  const warnAfter = async (graceMs: number, signal: AbortSignal) => {
    await pause(graceMs, signal);
    if (signal.aborted || !isInvoking) return;
    log.warning(`${name}: the batch still runs after ${graceMs} ms; it will be delivered again.`);
  };

  return {
    start: () => {
      running = run();
    },
    stop: async (graceMs) => {
      stopping.abort();
      source?.stop();
      if (!isInvoking) return;
      const graceOver = new AbortController();
      await Promise.race([running, warnAfter(graceMs, graceOver.signal)]);
      graceOver.abort();
    },
  };
};

/** Logs an outage once, when it begins and when it ends. A refusal is logged also while it lasts. */
const createOutageLog = (name: string, log: Log) => {
  let logged: 'nothing' | 'outage' | 'refusal' = 'nothing';
  return {
    begin: (state: string, isRefused: boolean) => {
      const isNew = logged === 'nothing' || (isRefused && logged !== 'refusal');
      if (isNew) log.warning(`${name}: ${state}. Trying again until it works.`);
      if (isNew) logged = isRefused ? 'refusal' : 'outage';
    },
    end: (state: string) => {
      if (logged !== 'nothing') log.notice(`${name}: ${state}.`);
      logged = 'nothing';
    },
  };
};

/** Waits, or less long when the signal aborts. */
const pause = (ms: number, signal: AbortSignal): Promise<void> =>
  delay(ms, undefined, { signal }).catch(() => undefined);
