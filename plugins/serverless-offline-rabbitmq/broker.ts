import { setTimeout as delay } from 'node:timers/promises';
import { type ChannelModel, connect } from 'amqplib';

/** Where lines for the developer go; the log that the framework hands to a plugin has this shape. */
export interface Log {
  notice(message: string): void;
  warning(message: string): void;
  error(message: string): void;
}

/** Reconnecting: the first delay, doubled each time, up to the last. In milliseconds. */
const FIRST_DELAY_MS = 100;
const LAST_DELAY_MS = 3000;
const CONNECT_TIMEOUT_MS = 10_000;
/** How long a broker may take to agree to the end of a connection; one that hangs never does. */
const CLOSE_TIMEOUT_MS = 2000;

/**
 * One connection to one virtual host of a broker, shared by all who consume there, made when it is first wanted and
 * again after it was lost. An outage is logged once, when it begins and when it ends.
 */
export class Broker {
  readonly #url: string;
  /** Host, port and virtual host; never the password. */
  readonly #name: string;
  readonly #log: Log;
  readonly #closing = new AbortController();
  #connection: Promise<ChannelModel> | undefined;
  #outage: string | undefined;

  constructor(url: URL, virtualHost: string, log: Log) {
    const full = new URL(url);
    full.pathname = encodeURIComponent(virtualHost);
    this.#url = full.href;
    this.#name = `RabbitMQ at ${url.host}, virtual host ${virtualHost}`;
    this.#log = log;
  }

  /**
   * The open connection; waits, as long as it takes, for a broker that cannot be reached.
   *
   * @throws Error when the broker was closed by `close`
   */
  connection(): Promise<ChannelModel> {
    this.#connection ??= this.#connect();
    return this.#connection;
  }

  /** Closes the connection, or gives up waiting for one; what was not acknowledged goes back to its queue. */
  async close(): Promise<void> {
    this.#closing.abort(new Error(`${this.#name}: closed`));
    const closed = this.#connection?.then((connection) => connection.close()).catch(() => undefined);
    await Promise.race([closed, delay(CLOSE_TIMEOUT_MS, undefined, { ref: false })]);
  }

  async #connect(): Promise<ChannelModel> {
    for (let delayMs = FIRST_DELAY_MS; ; delayMs = Math.min(delayMs * 2, LAST_DELAY_MS)) {
      this.#closing.signal.throwIfAborted();
      try {
        const connection = await connect(this.#url, { timeout: CONNECT_TIMEOUT_MS });
        this.#watch(connection);
        if (this.#outage !== undefined) this.#log.notice(`${this.#name}: connected.`);
        this.#outage = undefined;
        return connection;
      } catch (error) {
        this.#reportOutage(reasonOf(error));
      }
      await delay(delayMs, undefined, { signal: this.#closing.signal, ref: false });
    }
  }

  #watch(connection: ChannelModel): void {
    let reason = 'connection closed';
    // 'close' follows every error; without a listener an error would end the process.
    connection.on('error', (error) => {
      reason = reasonOf(error);
    });
    connection.on('close', (error) => {
      this.#connection = undefined;
      if (!this.#closing.signal.aborted) this.#reportOutage(error ? reasonOf(error) : reason);
    });
  }

  #reportOutage(reason: string): void {
    if (this.#outage === undefined) {
      this.#log.warning(`${this.#name}: ${reason}. Trying again until it answers.`);
    }
    this.#outage = reason;
  }
}

/** An error in one short line. */
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
