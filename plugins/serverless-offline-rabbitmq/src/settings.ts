/** Reads `rabbitmq` events of `serverless.yml` into mappings. */
import { type AutoCreate, isRecord, type Options } from './section.ts';
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
  /** Declares the queue if it does not exist; without it, the queue is waited for. */
  autoCreate?: AutoCreate;
  /** A batch that failed this many times in a row is reported; 0, the default, for never. */
  reportAfterFailures?: number;
};

/** A mapping and the URL of its broker. */
export type PlacedMapping = { settings: MappingSettings; url: URL };

type Mappings = {
  mappings: PlacedMapping[];
  /** Differences from the cloud, and reasons why a mapping does not run, one sentence for each. */
  warnings: string[];
};

type Service = {
  /** By their keys in `serverless.yml`. */
  functions: Record<string, FunctionDefinition>;
  /** The plugin's own. The virtual host of a URL, if it has one, replaces those of the events. */
  options: Options;
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

/** An event of a function, and where it is consumed. */
type PlacedEvent = {
  functionKey: string;
  definition: FunctionDefinition;
  event: RabbitmqEventSettings;
  url: URL | undefined;
};

/**
 * Reads every enabled `rabbitmq` event.
 *
 * @throws RangeError that names every value that Amazon MQ refuses, and every broker without a URL, one on each line
 */
export const readMappings = (service: Service): Mappings => {
  const { options } = service;
  const events = Object.entries(service.functions).flatMap(([functionKey, definition]) =>
    rabbitmqEventsOf(definition.events).map((event) => {
      const own = namesOf(event.arn).find((name) => Object.hasOwn(options.urls, name));
      return { functionKey, definition, event, url: own === undefined ? options.url : options.urls[own] };
    }),
  );
  const refusals = [
    ...events.flatMap(({ functionKey, definition, event, url }) =>
      [
        ...refusalsOf(event, definition.timeout ?? service.timeout),
        ...(url === undefined
          ? [
              'its broker has no URL; add it to custom.serverless-offline-rabbitmq.urls, or a url for all others.',
            ]
          : []),
      ].map((why) => `functions.${functionKey}: ${why}`),
    ),
    ...unknownBrokers(events, options),
  ];
  if (refusals.length > 0) throw new RangeError(refusals.join('\n'));

  const consumed = events.filter(({ event }) => event.filterPatterns === undefined);
  const mappings = consumed.flatMap(({ functionKey, event, url }) =>
    url === undefined ? [] : [{ settings: settingsOf(functionKey, event, url, service), url }],
  );
  return {
    mappings,
    warnings: [...filterWarnings(events), ...differences(events), ...sharedQueues(mappings)],
  };
};

const settingsOf = (
  functionKey: string,
  event: RabbitmqEventSettings,
  url: URL,
  { region, owner, options }: Service,
): MappingSettings => ({
  functionKey,
  queue: String(event.queue),
  virtualHost: virtualHostIn(url) || virtualHostOf(event),
  // In serverless.yml the ARN may be a reference that only CloudFormation resolves.
  eventSourceArn:
    typeof event.arn === 'string'
      ? event.arn
      : `arn:aws:mq:${region ?? 'us-east-1'}:000000000000:broker:local:b-00000000-0000-0000-0000-000000000000`,
  batchSize: Number(event.batchSize ?? DEFAULT_BATCH_SIZE),
  batchingWindowMs: Number(event.maximumBatchingWindow ?? DEFAULT_BATCHING_WINDOW_S) * 1000,
  consumerTag: `${functionKey}/${owner}`,
  ...(options.autoCreate === undefined ? {} : { autoCreate: options.autoCreate }),
  reportAfterFailures: options.reportAfterFailures,
});

type RabbitmqEventSettings = Record<string, unknown>;

/** The names under which a broker may have a URL: its ARN, name and id, or its name in CloudFormation. */
const namesOf = (arn: unknown): string[] => {
  if (typeof arn === 'string') {
    const [, name, id] = /:broker:([^:]+):([^:]+)$/.exec(arn) ?? [];
    return [arn, name, id].filter((part) => part !== undefined);
  }
  if (!isRecord(arn)) return [];
  const { Ref, 'Fn::GetAtt': attribute, 'Fn::ImportValue': imported } = arn;
  const resource = Array.isArray(attribute) ? attribute[0] : String(attribute ?? '').replace(/\.Arn$/, '');
  return [Ref, resource, imported].filter((name) => typeof name === 'string' && name !== '').map(String);
};

const unknownBrokers = (events: PlacedEvent[], { urls }: Options): string[] => {
  const known = new Set(events.flatMap(({ event }) => namesOf(event.arn)));
  const names = [...known].join(', ') || 'none';
  return Object.keys(urls)
    .filter((name) => !known.has(name))
    .map(
      (name) =>
        `custom.serverless-offline-rabbitmq.urls.${name} is no broker of an event; their names are: ${names}.`,
    );
};

const filterWarnings = (events: PlacedEvent[]): string[] =>
  events
    .filter(({ event }) => event.filterPatterns !== undefined)
    .map(
      ({ functionKey, event }) =>
        `functions.${functionKey}: filterPatterns are not emulated; ${event.queue} is not consumed, since the ` +
        'function would receive messages that AWS filters out.',
    );

/** The effects of a URL for several events: at most one sentence about virtual hosts, and one about brokers. */
const differences = (events: PlacedEvent[]): string[] =>
  [...new Set(events.map(({ url }) => url))].flatMap((url) => {
    const served = events.filter((event) => event.url === url);
    const urlVirtualHost = url === undefined ? '' : virtualHostIn(url);
    const virtualHosts = new Set(served.map(({ event }) => virtualHostOf(event)));
    const brokers = new Set(served.map(({ event }) => JSON.stringify(event.arn ?? null)));
    const replaced = [...virtualHosts].filter((host) => urlVirtualHost !== '' && host !== urlVirtualHost);
    return [
      ...(replaced.length > 0
        ? [`The URL's virtual host "${urlVirtualHost}" replaces those of the events: ${replaced.join(', ')}.`]
        : []),
      ...(brokers.size > 1
        ? [
            `The events name ${brokers.size} brokers; all are consumed from one URL. "urls" gives each its own.`,
          ]
        : []),
    ];
  });

/** On AWS, too, several functions on one queue share its messages. */
const sharedQueues = (mappings: PlacedMapping[]): string[] => {
  const functions = new Map<string, Set<string>>();
  for (const { settings, url } of mappings) {
    const place = JSON.stringify([url.host, settings.virtualHost, settings.queue]);
    functions.set(place, (functions.get(place) ?? new Set()).add(settings.functionKey));
  }
  return [...functions]
    .filter(([, keys]) => keys.size > 1)
    .map(([place, keys]) => {
      const [, , queue] = JSON.parse(place);
      return `The functions ${[...keys].join(', ')} consume one queue, ${queue}; each message goes to one of them.`;
    });
};

const virtualHostIn = (url: URL): string => decodeURIComponent(url.pathname.slice(1));

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
