/** The servers the system stands on, in the order in which summaries name them. */
export const serviceNames = ['mysql', 'redis', 'rabbitmq', 'opensearch'] as const;
export type ServiceName = (typeof serviceNames)[number];

/** The variable that gives a service's URL: what the functions read, and what says "use this server". */
export const urlVariables = {
  mysql: 'MYSQL_URL',
  redis: 'REDIS_URL',
  rabbitmq: 'RABBITMQ_URL',
  opensearch: 'OPENSEARCH_URL',
} as const satisfies Record<ServiceName, string>;

/** `OPENSEARCH_URL` is absent where no OpenSearch can be had: search then answers 503. */
export interface Urls {
  MYSQL_URL: string;
  REDIS_URL: string;
  RABBITMQ_URL: string;
  OPENSEARCH_URL?: string;
}

/** One server of a stack. What cannot be done to a server of its kind throws a {@link Failure}. */
export interface RunningService {
  readonly name: ServiceName;
  /** Where it comes from: a URL in the environment, Docker Compose, or a child process of ours. */
  readonly kind: 'url' | 'docker' | 'process';
  /** Product and version as the server tells them, such as `MariaDB 10.11.19`. */
  readonly version: string;
  /** For people: host and port, and the data folder where it is ours. */
  readonly where: string;
  readonly url: string;
  /** The server's own process (never a wrapper's), while it runs as our child. */
  readonly pid?: number | undefined;
  /** What the server writes; only for `process`. */
  readonly dataFolder?: string | undefined;
  /** Sends a signal to the server itself. */
  kill(signal: NodeJS.Signals): void;
  /** Freezes the server: its connections stay open and nothing answers. */
  pause(): void;
  resume(): void;
  /** Starts it again after {@link stop} or {@link kill}, on the same port and data; settles once it answers. */
  start(): Promise<void>;
  /** Ends it in order, by force after a while; settles when the process is gone. */
  stop(): Promise<void>;
  /** Removes its data. Only while it is stopped; the next {@link start} begins empty. */
  wipe(): Promise<void>;
}

export interface Stack {
  readonly urls: Urls;
  readonly services: Readonly<Record<ServiceName, RunningService | undefined>>;
  /**
   * Settles when the services that were not waited for answer too; at once where there are none.
   * @throws Failure when one does not come up; ending the stack is then the caller's
   */
  readonly ready: Promise<void>;
  /** The stack's folder: data of the processes, ports, generated passwords. */
  readonly folder: string;
  /** A secret of 32 random bytes (base64url), made on first use and kept with the data. */
  secret(name: string): string;
  /** Records a process of the owner's, so that the next start ends it if the owner is killed. */
  adopt(name: string, pid: number): void;
  /** Ends everything this stack started, and nothing else. Throw-away data is removed. May be called twice. */
  stop(): Promise<void>;
}

/** A step under way. */
export interface Step {
  /** Replaces the detail shown behind the step, such as how much has been downloaded. */
  detail(text: string): void;
  done(outcome?: string): void;
  failed(): void;
}

/** Where progress goes. */
export interface Report {
  say(line: string): void;
  step(what: string): Step;
}
