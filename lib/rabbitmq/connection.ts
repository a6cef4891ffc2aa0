import { Writable } from 'node:stream';
import { type ChannelModel, type ConfirmChannel, connect } from 'amqplib';
import { joinWrites } from '#lib/concurrency/join-writes.ts';
import { within } from '#lib/concurrency/within.ts';
import { withoutData } from '#lib/domain/error-facts.ts';
import { unavailable } from '#lib/domain/errors.ts';
import { credentialsIn } from './credentials.ts';

export type BrokerOptions = {
  /** The time limit for connecting, and the default for each piece of work. */
  timeoutMs: number;
  onError: (error: Error) => void;
};

type Open = {
  connection: ChannelModel;
  channel: ConfirmChannel;
  /** The broker's reason while it blocks publishers (memory or disk alarm). */
  blocked: string | undefined;
  isClosed: boolean;
  /** The time of the last answer on this connection. */
  answeredAtMs: number;
};

/** The pause after a failed connection. Calls fail at once meanwhile instead of waiting for a broker that is down. */
const PAUSE_MS = 1_000;
/** A connection that was silent for longer may be dead, for example after a frozen environment thaws. */
const SILENT_MS = 10_000;
/** The longest wait for the broker to confirm the end of a connection. */
const CLOSE_MS = 1_000;

const answerWithin = <Result>(timeoutMs: number, work: Promise<Result>): Promise<Result> =>
  within(timeoutMs, work, () => new Error(`RabbitMQ did not answer in ${timeoutMs} ms`));

/**
 * Settles when the channel is closed. If the connection ends first, amqplib never settles `close`, but it always emits
 * the event.
 */
const closeChannel = async (channel: ConfirmChannel): Promise<void> => {
  const closed = new Promise<void>((resolve) => channel.once('close', resolve));
  await Promise.race([closed, channel.close().catch(() => undefined)]);
};

/**
 * Holds one connection with one confirm channel. It opens at the first use, and again after a loss, such as the missed
 * heartbeats of a frozen environment. Throws 'unavailable' if the broker does not answer in time. Work on a dead
 * connection runs once more on a new one within the same time, so its messages may arrive twice.
 */
export const openBroker = (url: string, { timeoutMs, onError }: BrokerOptions) => {
  let opening: Promise<Open> | undefined;
  let pausedUntilMs = 0;

  const open = async (): Promise<Open> => {
    const connection = await connect(url, { timeout: timeoutMs, noDelay: true, ...credentialsIn(url) });
    const internals: object = connection.connection;
    if ('stream' in internals && internals.stream instanceof Writable) joinWrites(internals.stream);
    // 'close' follows every error; without a listener an error would end the process.
    connection.on('error', onError);
    let opened: Open | undefined;
    let isClosed = false;
    const onClose = () => {
      isClosed = true;
      if (opened !== undefined) opened.isClosed = true;
    };
    connection.on('close', onClose);
    let channel: ConfirmChannel;
    try {
      channel = await answerWithin(timeoutMs, connection.createConfirmChannel());
    } catch (error) {
      connection.close().catch(() => undefined);
      throw error;
    }
    // Every publish that waits for its confirm has a listener for its return.
    channel.setMaxListeners(0);
    channel.on('error', onError);
    channel.on('close', () => {
      onClose();
      connection.close().catch(() => undefined);
    });
    const current: Open = { connection, channel, blocked: undefined, isClosed, answeredAtMs: Date.now() };
    opened = current;
    connection.on('blocked', (reason) => {
      current.blocked = reason;
    });
    connection.on('unblocked', () => {
      current.blocked = undefined;
    });
    return current;
  };

  const get = async (): Promise<Open> => {
    const known = opening;
    if (known !== undefined) {
      const opened = await known;
      if (!opened.isClosed) return opened;
      if (opening === known) opening = undefined;
    }
    if (opening === undefined) {
      if (Date.now() < pausedUntilMs) throw new Error('RabbitMQ did not answer a moment ago');
      const attempt = open();
      opening = attempt;
      attempt.catch((error: Error) => {
        if (opening === attempt) opening = undefined;
        pausedUntilMs = Date.now() + PAUSE_MS;
        onError(error);
      });
    }
    return opening;
  };

  /** Closes the connection and fails all work that waits on it. The next call opens a new one. */
  const giveUp = (opened: Open) => {
    opened.isClosed = true;
    opened.connection.close().catch(() => undefined);
  };

  const onConnection = async <Result>(
    work: (opened: Open) => Promise<Result>,
    waitMs: number,
  ): Promise<Result> => {
    const deadline = Date.now() + waitMs;
    const leftMs = () => Math.max(deadline - Date.now(), 1);
    for (let isFirst = true; ; isFirst = false) {
      const opened = await answerWithin(leftMs(), get());
      if (opened.blocked !== undefined) throw new Error(`RabbitMQ blocks publishers: ${opened.blocked}`);
      const isSilent = Date.now() - opened.answeredAtMs > SILENT_MS;
      // Half of the time is kept for a new connection, in case this one is dead.
      const patienceMs = isFirst && isSilent ? Math.ceil(leftMs() / 2) : leftMs();
      const begunAtMs = Date.now();
      try {
        const result = await answerWithin(patienceMs, work(opened));
        opened.answeredAtMs = Date.now();
        return result;
      } catch (error) {
        const isUnanswered =
          opened.blocked === undefined &&
          opened.answeredAtMs <= begunAtMs &&
          Date.now() - begunAtMs >= patienceMs;
        if (isUnanswered) giveUp(opened);
        if (!isFirst || !opened.isClosed || Date.now() >= deadline) throw error;
      }
    }
  };

  const translated = async <Result>(work: Promise<Result>): Promise<Result> => {
    try {
      return await work;
    } catch (error) {
      throw unavailable('The message broker does not answer.', withoutData(error));
    }
  };

  return {
    /** Runs `work` on the shared channel for publishing. */
    withChannel: <Result>(
      work: (channel: ConfirmChannel) => Promise<Result>,
      waitMs = timeoutMs,
    ): Promise<Result> => translated(onConnection(({ channel }) => work(channel), waitMs)),

    /**
     * Runs `work` on a separate channel. After a refusal the broker closes only this channel. When the channel closes,
     * messages without an acknowledgement return to their place in the queue.
     */
    withOwnChannel: <Result>(
      work: (channel: ConfirmChannel) => Promise<Result>,
      waitMs = timeoutMs,
    ): Promise<Result> =>
      translated(
        onConnection(async ({ connection }) => {
          const channel = await connection.createConfirmChannel();
          channel.setMaxListeners(0);
          // The call that caused the error rejects with it.
          channel.on('error', () => undefined);
          try {
            return await work(channel);
          } finally {
            await closeChannel(channel);
          }
        }, waitMs),
      ),

    close: async (): Promise<void> => {
      const opened = await opening?.catch(() => undefined);
      opening = undefined;
      if (opened !== undefined) opened.isClosed = true;
      // If the connection ends first, amqplib never settles `close`.
      if (opened !== undefined)
        await answerWithin(CLOSE_MS, opened.connection.close()).catch(() => undefined);
    },
  };
};

export type Broker = ReturnType<typeof openBroker>;
