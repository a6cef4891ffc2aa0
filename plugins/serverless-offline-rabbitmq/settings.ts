/** What `serverless.yml` says about RabbitMQ events, read into one mapping for each. */

/** One `rabbitmq` event of one function. */
export interface MappingSettings {
  functionKey: string;
  queue: string;
  virtualHost: string;
  eventSourceArn: string;
  /** The most messages in a batch, and the consumer's prefetch. */
  batchSize: number;
  /** How long the first message of a batch waits for others, in milliseconds. */
  batchingWindowMs: number;
}

/** A function of `serverless.yml`, as far as it matters here. */
export interface FunctionDefinition {
  events?: unknown;
}

/** The defaults of an Amazon MQ event source mapping. */
const DEFAULT_BATCH_SIZE = 100;
const DEFAULT_BATCHING_WINDOW_MS = 500;

/**
 * Every enabled `rabbitmq` event.
 *
 * @param functions by their keys in `serverless.yml`
 * @param url the broker's. A virtual host in it (`amqp://localhost/test`) wins over the events' own, so that the
 *   same `serverless.yml` can be run against any virtual host.
 * @throws Error naming the function when an event has no queue
 */
export const readMappings = (
  functions: Record<string, FunctionDefinition>,
  url: URL,
  region = 'us-east-1',
): MappingSettings[] => {
  const urlVirtualHost = decodeURIComponent(url.pathname.slice(1));
  return Object.entries(functions).flatMap(([functionKey, { events }]) =>
    rabbitmqEventsOf(events).map((event) => {
      if (typeof event.queue !== 'string' || event.queue === '') {
        throw new Error(`functions.${functionKey}: its rabbitmq event names no queue; add "queue: <name>".`);
      }
      return {
        functionKey,
        queue: event.queue,
        virtualHost: urlVirtualHost || (typeof event.virtualHost === 'string' && event.virtualHost) || '/',
        // In serverless.yml the ARN may be a reference that only CloudFormation resolves.
        eventSourceArn:
          typeof event.arn === 'string'
            ? event.arn
            : `arn:aws:mq:${region}:000000000000:broker:local:b-00000000-0000-0000-0000-000000000000`,
        batchSize: typeof event.batchSize === 'number' ? event.batchSize : DEFAULT_BATCH_SIZE,
        batchingWindowMs:
          typeof event.maximumBatchingWindow === 'number'
            ? event.maximumBatchingWindow * 1000
            : DEFAULT_BATCHING_WINDOW_MS,
      };
    }),
  );
};

/** Keys of the functions with a `rabbitmq` event that filters, which is not emulated. */
export const functionsWithFilters = (functions: Record<string, FunctionDefinition>): string[] =>
  Object.entries(functions)
    .filter(([, { events }]) =>
      rabbitmqEventsOf(events).some(({ filterPatterns }) => filterPatterns !== undefined),
    )
    .map(([functionKey]) => functionKey);

const rabbitmqEventsOf = (events: unknown): Record<string, unknown>[] =>
  (Array.isArray(events) ? events : [])
    .map((event: unknown) => (isRecord(event) ? event.rabbitmq : undefined))
    .filter(isRecord)
    .filter(({ enabled }) => enabled !== false);

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null;
