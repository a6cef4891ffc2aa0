import { hostname } from 'node:os';
import { unescape as decode } from 'node:querystring';
import { setTimeout as delay } from 'node:timers/promises';
import { type ChannelModel, connect, credentials } from 'amqplib';

/** The log for the developer, in the shape that the framework passes to a plugin. */
export type Log = {
  notice(message: string): void;
  warning(message: string): void;
  error(message: string): void;
};

export type Broker = {
  /**
   * The open connection. Waits without limit for an unreachable broker.
   *
   * @throws Error after `close`
   */
  connection(): Promise<ChannelModel>;
  /** Closes the connection, or stops waiting for one. Unacknowledged messages return to their queues. */
  close(): Promise<void>;
};

type BrokerOptions = {
  /** An `amqp` or `amqps` URL; its path is ignored. */
  url: URL;
  virtualHost: string;
  /** Shown beside the connection in RabbitMQ's management. */
  connectionName: string;
  log: Log;
};

/** The delays between connection attempts: the first one, doubled each time, up to the last. */
const FIRST_DELAY_MS = 100;
const LAST_DELAY_MS = 3000;
const CONNECT_TIMEOUT_MS = 10_000;
/** The longest wait for the broker to confirm the end of a connection. A hanging broker never does. */
const CLOSE_TIMEOUT_MS = 2000;
/** Two missed heartbeats reveal a vanished connection. A heartbeat in the URL takes precedence. In seconds. */
const HEARTBEAT_S = 10;

/**
 * One connection to one virtual host of a broker, shared by all its mappings. It opens at the first use, and again after
 * a loss. The log has one line for the start of an outage, and one for its end.
 */
export const createBroker = ({ url, virtualHost, connectionName, log }: BrokerOptions): Broker => {
  /** Host, port and virtual host; never the password. */
  const name = `RabbitMQ at ${url.host}, virtual host ${virtualHost}`;
  const address = addressOf(url, virtualHost);
  const closing = new AbortController();
  let current: Promise<ChannelModel> | undefined;
  let isOut = false;
  let lastRefusal: string | undefined;

  /** @param refusal what to correct; it is logged also in the middle of an outage, as when a broker starts */
  const reportOutage = (reason: string, refusal?: string) => {
    const isNew = !isOut || (refusal !== undefined && refusal !== lastRefusal);
    if (isNew) log.warning(`${name}: ${refusal ?? reason}. Trying again until it answers.`);
    isOut = true;
    lastRefusal = refusal ?? lastRefusal;
  };

  const open = async (): Promise<ChannelModel> => {
    for (let delayMs = FIRST_DELAY_MS; ; delayMs = Math.min(delayMs * 2, LAST_DELAY_MS)) {
      closing.signal.throwIfAborted();
      try {
        const connection = await connect(address, {
          timeout: CONNECT_TIMEOUT_MS,
          ...credentialsIn(url),
          clientProperties: { connection_name: connectionName },
        });
        watch(connection);
        if (isOut) log.notice(`${name}: connected.`);
        isOut = false;
        lastRefusal = undefined;
        return connection;
      } catch (error) {
        reportOutage(reasonOf(error), refusalOf(error, url, virtualHost));
      }
      await delay(delayMs, undefined, { signal: closing.signal, ref: false });
    }
  };

  const watch = (connection: ChannelModel) => {
    let reason = 'connection closed';
    // 'close' follows every error; without a listener an error would end the process.
    connection.on('error', (error) => {
      reason = reasonOf(error);
    });
    connection.on('close', (error) => {
      current = undefined;
      if (!closing.signal.aborted) reportOutage(error ? reasonOf(error) : reason);
    });
  };

  return {
    connection: () => {
      current ??= open();
      return current;
    },
    close: async () => {
      closing.abort(new Error(`${name}: closed`));
      const closed = current?.then((connection) => connection.close()).catch(() => undefined);
      await Promise.race([closed, delay(CLOSE_TIMEOUT_MS, undefined, { ref: false })]);
    },
  };
};

/** amqplib would decode user and password as Latin-1. */
const credentialsIn = ({ username, password }: URL) =>
  username === '' && password === ''
    ? {}
    : { credentials: credentials.plain(decode(username), decode(password)) };

const addressOf = (url: URL, virtualHost: string): string => {
  const full = new URL(url);
  full.pathname = encodeURIComponent(virtualHost);
  if (!full.searchParams.has('heartbeat')) full.searchParams.set('heartbeat', String(HEARTBEAT_S));
  return full.href;
};

/** What to correct when the broker answers but lets nobody in; undefined for other errors. */
const refusalOf = (error: unknown, url: URL, virtualHost: string): string | undefined => {
  const message = error instanceof Error ? error.message : '';
  const user = decodeURIComponent(url.username) || 'guest';
  // amqplib does not pass on the broker's reason.
  if (message.startsWith('Expected ConnectionOpenOk; got <ConnectionClose')) {
    return (
      `the virtual host "${virtualHost}" does not exist, or the user "${user}" may not use it; name another in the ` +
      `URL, or create it (rabbitmqctl add_vhost "${virtualHost}")`
    );
  }
  return /ACCESS_REFUSED - Login was refused/.test(message)
    ? `the user "${user}" or its password is wrong; correct the URL`
    : undefined;
};

/** Names a program and where it runs, for connections and consumers. */
export const ownerName = (service: string): string => `${service}@${hostname()}:${process.pid}`;

/** An error, or any other thrown value, in one short line. */
export const reasonOf = (error: unknown): string => {
  // A refused connection to a name with several addresses is an AggregateError without a message.
  const message =
    error instanceof Error
      ? error.message || ('code' in error ? String(error.code) : error.name)
      : String(error);
  // amqplib puts the broker's own words at the end: Operation failed: BasicConsume; 404 (NOT-FOUND) with message "…"
  const line = (/with message "(.*)"$/.exec(message)?.[1] ?? message).split('\n', 1)[0] ?? '';
  return line.length > 200 ? `${line.slice(0, 200)}…` : line;
};
