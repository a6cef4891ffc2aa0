/** Reads `rabbitmq` events of `serverless.yml` into mappings. */
import type { FunctionDefinition } from './serverless.ts';

/** One `rabbitmq` event of one function. */
export type MappingSettings = {
  functionKey: string;
  queue: string;
  virtualHost: string;
  eventSourceArn: string;
  /** The most messages in a batch. */
  batchSize: number;
  /** How long the first message of a batch waits for others, in milliseconds. */
  batchingWindowMs: number;
  /** Shown beside the consumer in RabbitMQ's management. */
  consumerTag: string;
};

type Mappings = {
  mappings: MappingSettings[];
  /** Differences from the cloud, and reasons why a mapping does not run, one sentence for each. */
  warnings: string[];
};

type Service = {
  /** By their keys in `serverless.yml`. */
  functions: Record<string, FunctionDefinition>;
  /** The broker's; its virtual host, if it has one, replaces those of the events. */
  url: URL;
  /** The region of the made-up ARN, if only CloudFormation resolves the event's own. */
  region?: string | undefined;
  /** The default time-out of functions, in seconds. */
  timeout?: number | undefined;
  /** The program and where it runs, for the consumer tag. */
  owner: string;
};

/** The defaults and limits of an Amazon MQ event source mapping. */
const DEFAULT_BATCH_SIZE = 100;
const MAX_BATCH_SIZE = 10_000;
const DEFAULT_BATCHING_WINDOW_S = 0.5;
const MAX_BATCHING_WINDOW_S = 300;
const MAX_TIMEOUT_S = 840;

/**
 * Reads every enabled `rabbitmq` event.
 *
 * @throws RangeError that names every value that Amazon MQ refuses, one on each line
 */
export const readMappings = (service: Service): Mappings => {
  const events = Object.entries(service.functions).flatMap(([functionKey, definition]) =>
    rabbitmqEventsOf(definition.events).map((event) => ({ functionKey, definition, event })),
  );
  const refusals = events.flatMap(({ functionKey, definition, event }) =>
    refusalsOf(event, definition.timeout ?? service.timeout).map((why) => `functions.${functionKey}: ${why}`),
  );
  if (refusals.length > 0) throw new RangeError(refusals.join('\n'));

  const urlVirtualHost = decodeURIComponent(service.url.pathname.slice(1));
  const isFiltered = (event: RabbitmqEventSettings) => event.filterPatterns !== undefined;
  const mappings = events
    .filter(({ event }) => !isFiltered(event))
    .map(({ functionKey, event }) => ({
      functionKey,
      queue: String(event.queue),
      virtualHost: urlVirtualHost || virtualHostOf(event),
      // In serverless.yml the ARN may be a reference that only CloudFormation resolves.
      eventSourceArn:
        typeof event.arn === 'string'
          ? event.arn
          : `arn:aws:mq:${service.region ?? 'us-east-1'}:000000000000:broker:local:b-00000000-0000-0000-0000-000000000000`,
      batchSize: Number(event.batchSize ?? DEFAULT_BATCH_SIZE),
      batchingWindowMs: Number(event.maximumBatchingWindow ?? DEFAULT_BATCHING_WINDOW_S) * 1000,
      consumerTag: `${functionKey}/${service.owner}`,
    }));
  const warnings = events
    .filter(({ event }) => isFiltered(event))
    .map(
      ({ functionKey, event }) =>
        `functions.${functionKey}: filterPatterns are not emulated; ${event.queue} is not consumed, since the ` +
        'function would receive messages that AWS filters out.',
    );
  return { mappings, warnings: [...warnings, ...differences(events, urlVirtualHost)] };
};

type RabbitmqEventSettings = Record<string, unknown>;

/** The effects of one URL for all events: at most one sentence about virtual hosts, and one about brokers. */
const differences = (events: { event: RabbitmqEventSettings }[], urlVirtualHost: string): string[] => {
  const virtualHosts = new Set(events.map(({ event }) => virtualHostOf(event)));
  const brokers = new Set(events.map(({ event }) => JSON.stringify(event.arn ?? null)));
  const replaced = [...virtualHosts].filter((host) => urlVirtualHost !== '' && host !== urlVirtualHost);
  return [
    ...(replaced.length > 0
      ? [`The URL's virtual host "${urlVirtualHost}" replaces those of the events: ${replaced.join(', ')}.`]
      : []),
    ...(brokers.size > 1 ? [`The events name ${brokers.size} brokers; all are consumed from one URL.`] : []),
  ];
};

const virtualHostOf = ({ virtualHost }: RabbitmqEventSettings): string =>
  typeof virtualHost === 'string' && virtualHost !== '' ? virtualHost : '/';

const refusalsOf = (event: RabbitmqEventSettings, timeout: unknown): string[] => {
  const { queue, batchSize, maximumBatchingWindow } = event;
  const isWithin = (value: unknown, least: number, most: number) =>
    value === undefined || (Number.isInteger(value) && Number(value) >= least && Number(value) <= most);
  const refusals: string[] = [];
  if (typeof queue !== 'string' || queue === '') {
    refusals.push('its rabbitmq event names no queue; add "queue: <name>".');
  }
  if (!isWithin(batchSize, 1, MAX_BATCH_SIZE)) {
    refusals.push(`batchSize must be an integer from 1 to ${MAX_BATCH_SIZE}, not ${batchSize}.`);
  }
  if (!isWithin(maximumBatchingWindow, 0, MAX_BATCHING_WINDOW_S)) {
    refusals.push(
      `maximumBatchingWindow must be an integer from 0 to ${MAX_BATCHING_WINDOW_S}, not ${maximumBatchingWindow}.`,
    );
  }
  if (typeof timeout === 'number' && timeout > MAX_TIMEOUT_S) {
    refusals.push(`with an Amazon MQ event its timeout must be at most ${MAX_TIMEOUT_S} s, not ${timeout}.`);
  }
  return refusals;
};

const rabbitmqEventsOf = (events: unknown): RabbitmqEventSettings[] =>
  (Array.isArray(events) ? events : [])
    .map((event: unknown) => (isRecord(event) ? event.rabbitmq : undefined))
    .filter(isRecord)
    .filter(({ enabled }) => enabled !== false);

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null;

/** The settings of `custom.serverless-offline-rabbitmq`, or the reason why they switch the plugin off. */
export type Section = { url: URL } | { off: string };

/**
 * @param section `custom.serverless-offline-rabbitmq`
 * @returns the broker's URL, or the reason why no events are consumed
 * @throws RangeError if the URL is not an AMQP URL
 */
export const readSection = (section: unknown): Section => {
  if (!isRecord(section)) {
    return { off: 'custom.serverless-offline-rabbitmq is missing in serverless.yml; add its url.' };
  }
  const { url, enabled } = section;
  if (enabled === false) return { off: 'custom.serverless-offline-rabbitmq.enabled is false.' };
  if (url === undefined || url === null || url === '') {
    return { off: 'custom.serverless-offline-rabbitmq.url is empty.' };
  }
  if (typeof url === 'string' && URL.canParse(url) && /^amqps?:$/.test(new URL(url).protocol)) {
    return { url: new URL(url) };
  }
  throw new RangeError(
    'custom.serverless-offline-rabbitmq.url must be the URL of a RabbitMQ broker, such as ' +
      'amqp://localhost:5672. Leave it empty to run without RabbitMQ events.',
  );
};
