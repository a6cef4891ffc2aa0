import { type ChannelModel, type ConfirmChannel, connect } from 'amqplib';
import { unavailable } from '#lib/domain/errors.ts';

export type BrokerOptions = {
  /** For connecting, and for each piece of work that names no time of its own. */
  timeoutMs: number;
  onError: (error: Error) => void;
};

type Open = {
  connection: ChannelModel;
  channel: ConfirmChannel;
  /** The broker's reason, while it takes no publishes (memory or disk alarm). */
  blocked: string | undefined;
  isClosed: boolean;
  /** When work on this connection was last answered. */
  answeredAtMs: number;
};

/** After a failed connection nobody tries for this long: callers must not wait for a broker that is down. */
const PAUSE_MS = 1_000;
/** A connection that was silent for so long may be dead without our knowing: an environment that slept. */
const SILENT_MS = 10_000;
/** How long a broker may take to agree to the end of a connection. */
const CLOSE_MS = 1_000;

const within = async <Result>(timeoutMs: number, work: Promise<Result>): Promise<Result> => {
  let timer: NodeJS.Timeout | undefined;
  const tooLong = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`RabbitMQ did not answer in ${timeoutMs} ms`)), timeoutMs);
  });
  try {
    return await Promise.race([work, tooLong]);
  } finally {
    clearTimeout(timer);
  }
};

/**
 * Settles when the channel is closed. amqplib never settles a `close` that the connection's end overtakes; the event
 * comes in every case.
 */
const closeChannel = async (channel: ConfirmChannel): Promise<void> => {
  const closed = new Promise<void>((resolve) => channel.once('close', resolve));
  await Promise.race([closed, channel.close().catch(() => undefined)]);
};

/**
 * One connection with one confirm channel, made when first used and again when it is lost: also by an environment that
 * slept through the heartbeats. Throws 'unavailable' when the broker does not answer in time. Work that met a dead
 * connection is run once more on a new one, within the same time: whatever it publishes may arrive twice.
 */
export const openBroker = (url: string, { timeoutMs, onError }: BrokerOptions) => {
  let opening: Promise<Open> | undefined;
  let pausedUntilMs = 0;

  const open = async (): Promise<Open> => {
    const connection = await connect(url, { timeout: timeoutMs, noDelay: true });
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
      channel = await within(timeoutMs, connection.createConfirmChannel());
    } catch (error) {
      connection.close().catch(() => undefined);
      throw error;
    }
    // Every publish that waits for its confirm listens for its own return.
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

  /** The next caller connects anew; what still waits on this connection fails with it. */
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
      const opened = await within(leftMs(), get());
      if (opened.blocked !== undefined) throw new Error(`RabbitMQ blocks publishers: ${opened.blocked}`);
      const isSilent = Date.now() - opened.answeredAtMs > SILENT_MS;
      // Time is left to connect anew when the first turns out to be dead.
      const patienceMs = isFirst && isSilent ? Math.ceil(leftMs() / 2) : leftMs();
      const begunAtMs = Date.now();
      try {
        const result = await within(patienceMs, work(opened));
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
      throw unavailable('The message broker does not answer.', error);
    }
  };

  return {
    /** Runs `work` on the channel that all share, for publishing. */
    withChannel: <Result>(
      work: (channel: ConfirmChannel) => Promise<Result>,
      waitMs = timeoutMs,
    ): Promise<Result> => translated(onConnection(({ channel }) => work(channel), waitMs)),

    /**
     * Runs `work` on a channel of its own: what the broker refuses there (it then closes the channel) disturbs nobody
     * else, and what was taken from a queue and not acknowledged goes back to its place when the channel closes.
     */
    withOwnChannel: <Result>(
      work: (channel: ConfirmChannel) => Promise<Result>,
      waitMs = timeoutMs,
    ): Promise<Result> =>
      translated(
        onConnection(async ({ connection }) => {
          const channel = await connection.createConfirmChannel();
          channel.setMaxListeners(0);
          // The call that caused it is rejected with it.
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
      // amqplib never settles a `close` that the connection's end overtakes.
      if (opened !== undefined) await within(CLOSE_MS, opened.connection.close()).catch(() => undefined);
    },
  };
};

export type Broker = ReturnType<typeof openBroker>;
