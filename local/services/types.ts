/** The servers of the system, in the order of summaries. */
export const serviceNames = ['mysql', 'redis', 'rabbitmq', 'opensearch'] as const;
export type ServiceName = (typeof serviceNames)[number];

/** The variable with a service's URL. Functions read it; set by the user, it selects that server. */
export const urlVariables = {
  mysql: 'MYSQL_URL',
  redis: 'REDIS_URL',
  rabbitmq: 'RABBITMQ_URL',
  opensearch: 'OPENSEARCH_URL',
} as const satisfies Record<ServiceName, string>;

/** `OPENSEARCH_URL` is absent if OpenSearch is not available: search then answers 503. */
export interface Urls {
  MYSQL_URL: string;
  REDIS_URL: string;
  RABBITMQ_URL: string;
  OPENSEARCH_URL?: string;
}

/** One server of a stack. An action that its kind does not support throws a {@link Failure}. */
export interface RunningService {
  readonly name: ServiceName;
  /** Its origin: a URL in the environment, Docker Compose, or a child process of ours. */
  readonly kind: 'url' | 'docker' | 'process';
  /** Product and version as the server reports them, for example `MariaDB 10.11.19`. */
  readonly version: string;
  /** To display: host and port, and our data folder if it has one. */
  readonly where: string;
  readonly url: string;
  /** Id of the server's process, never of a wrapper, while it runs as our child. */
  readonly pid?: number | undefined;
  /** Path of the server's log; only for `process`. */
  readonly dataFolder?: string | undefined;
  /** Sends a signal to the server itself. */
  kill(signal: NodeJS.Signals): void;
  /** Freezes the server: its connections stay open, without an answer. */
  pause(): void;
  resume(): void;
  /** Starts it after {@link stop} or {@link kill}, on the same port and data. Settles when it answers. */
  start(): Promise<void>;
  /** Stops it cleanly, by force after a grace period. Settles when the process is gone. */
  stop(): Promise<void>;
  /** Removes the data of a stopped server. The next {@link start} begins empty. */
  wipe(): Promise<void>;
}

/** Where an API answers, and where its changes are live. */
export type ApiUrls = { url: string; socketUrl: string };

export interface Stack {
  readonly urls: Urls;
  readonly services: Readonly<Record<ServiceName, RunningService | undefined>>;
  /**
   * Settles when the background services answer; at once if there are none.
   * @throws Failure if one does not start; the caller then stops the stack
   */
  readonly ready: Promise<void>;
  /** The stack's folder, with data, ports and generated passwords. */
  readonly folder: string;
  /** A secret of 32 random bytes (base64url), generated on first use and kept with the data. */
  secret(name: string): string;
  /** Records a process of the owner. The next start ends it if the owner was killed. */
  adopt(name: string, pid: number): void;
  /** Records the addresses of the API, for commands that look at it. */
  announce(api: ApiUrls): void;
  /** Stops everything that this stack started, and nothing else. Removes temporary data. May be called twice. */
  stop(): Promise<void>;
}

/** A step in progress. */
export interface Step {
  /** Replaces the detail behind the step, for example the downloaded share. */
  detail(text: string): void;
  done(outcome?: string): void;
  failed(): void;
}

/** Receives progress. */
export interface Report {
  say(line: string): void;
  step(what: string): Step;
}
