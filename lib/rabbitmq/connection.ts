import { type ChannelModel, type ConfirmChannel, connect } from 'amqplib';
import { unavailable } from '../domain/errors.ts';

export type BrokerOptions = {
  /** For connecting, and for each piece of work that names no time of its own. */
  timeoutMs: number;
  onError: (error: Error) => void;
};

type Open = { connection: ChannelModel; channel: ConfirmChannel; blocked: boolean; answeredAtMs: number };

/** After a failed connection nobody tries for this long: callers must not wait for a broker that is down. */
const PAUSE_MS = 1_000;

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
 * One connection with one confirm channel, made when first used and again when it is lost: also by an environment that
 * slept through the heartbeats. Throws 'unavailable' when the broker does not answer in time.
 */
export const openBroker = (url: string, { timeoutMs, onError }: BrokerOptions) => {
  let opening: Promise<Open> | undefined;
  let pausedUntilMs = 0;

  const open = async (): Promise<Open> => {
    const connection = await connect(url, { timeout: timeoutMs });
    const forget = () => {
      if (opening === current) opening = undefined;
    };
    const current = opening;
    connection.on('error', onError);
    connection.on('close', forget);
    const channel = await connection.createConfirmChannel();
    // Every publish that waits for its confirm listens for its own return.
    channel.setMaxListeners(0);
    channel.on('error', onError);
    channel.on('close', () => {
      forget();
      connection.close().catch(() => undefined);
    });
    const opened = { connection, channel, blocked: false, answeredAtMs: Date.now() };
    connection.on('blocked', () => {
      opened.blocked = true;
    });
    connection.on('unblocked', () => {
      opened.blocked = false;
    });
    return opened;
  };

  const get = async (): Promise<Open> => {
    if (opening === undefined) {
      if (Date.now() < pausedUntilMs) throw new Error('RabbitMQ did not answer a moment ago');
      opening = Promise.resolve().then(open);
      opening.catch((error: Error) => {
        opening = undefined;
        pausedUntilMs = Date.now() + PAUSE_MS;
        onError(error);
      });
    }
    return opening;
  };

  const drop = (opened: Open) => {
    opening = undefined;
    opened.connection.close().catch(() => undefined);
  };

  return {
    /** Runs `work` on the channel. A connection on which nothing is answered any more is given up. */
    withChannel: async <Result>(
      work: (channel: ConfirmChannel) => Promise<Result>,
      waitMs = timeoutMs,
    ): Promise<Result> => {
      try {
        const opened = await within(waitMs, get());
        if (opened.blocked) throw new Error('RabbitMQ blocks publishers (memory or disk alarm)');
        try {
          const result = await within(waitMs, work(opened.channel));
          opened.answeredAtMs = Date.now();
          return result;
        } catch (error) {
          if (!opened.blocked && Date.now() - opened.answeredAtMs >= waitMs) drop(opened);
          throw error;
        }
      } catch (error) {
        throw unavailable('The message broker does not answer.', error);
      }
    },
    close: async (): Promise<void> => {
      const opened = await opening?.catch(() => undefined);
      opening = undefined;
      await opened?.connection.close().catch(() => undefined);
    },
  };
};

export type Broker = ReturnType<typeof openBroker>;
