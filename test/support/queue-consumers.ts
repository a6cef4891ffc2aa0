import {
  createBroker,
  createEventSourceMapping,
  type EventSourceMapping,
} from 'serverless-offline-rabbitmq/event-source';
import { commands } from '#lib/contracts/commands/all.ts';
import { createLambdaContext } from '../../local/emulation/lambda-context.ts';
import type { Urls } from '../../local/services/index.ts';

const consumerFiles = {
  'create-application': () => import('../../functions/consumers/persist-application.ts'),
  'update-application': () => import('../../functions/consumers/persist-application-update.ts'),
  'create-chat': () => import('../../functions/consumers/persist-chat.ts'),
  'update-chat': () => import('../../functions/consumers/persist-chat-update.ts'),
  'create-message': () => import('../../functions/consumers/persist-message.ts'),
  'update-message': () => import('../../functions/consumers/persist-message-update.ts'),
  'index-message': () => import('../../functions/consumers/index-message.ts'),
  'recover-counters': () => import('../../functions/scheduled/recover-counters.ts'),
} as const;
export type Queue = keyof typeof consumerFiles;
const isQueue = (name: string): name is Queue => name in consumerFiles;

/** Feeds the handlers of the consumer functions from their queues, with the project's own event source. */
export const createConsumers = (name: string, urls: Urls) => {
  const url = new URL(urls.RABBITMQ_URL);
  const virtualHost = decodeURIComponent(url.pathname.slice(1)) || '/';
  /** One line for each batch that was returned. */
  const failures: string[] = [];
  const log = {
    notice: () => undefined,
    warning: () => undefined,
    error: (line: string) => {
      failures.push(line);
    },
  };
  const served = commands
    .map(({ queue }) => queue)
    .filter(isQueue)
    .filter((queue) => queue !== 'index-message' || urls.OPENSEARCH_URL !== undefined);
  const stopping = new Set<() => Promise<void>>();

  const startMapping = async (queue: Queue, broker: ReturnType<typeof createBroker>) => {
    const { handler } = await consumerFiles[queue]();
    const settings = {
      functionKey: queue,
      queue,
      virtualHost,
      eventSourceArn: 'arn:aws:mq:local:000000000000:broker:chat:b-0',
      batchSize: 1_000,
      batchingWindowMs: 0,
      consumerTag: queue,
    };
    const invoke = async (event: unknown) => {
      await handler(event, createLambdaContext(queue, 60_000));
    };
    const mapping = createEventSourceMapping(settings, broker, invoke, log, { firstMs: 100, lastMs: 500 });
    mapping.start();
    return mapping;
  };

  return {
    /** Starts the consumers of the queues, or all whose servers run. @returns a function that stops them */
    consume: async (...queues: Queue[]): Promise<() => Promise<void>> => {
      const broker = createBroker({ url, virtualHost, connectionName: name, log });
      const mappings: EventSourceMapping[] = [];
      for (const queue of queues.length > 0 ? queues : served)
        mappings.push(await startMapping(queue, broker));
      const stop = async () => {
        stopping.delete(stop);
        await Promise.all(mappings.map((mapping) => mapping.stop(5_000)));
        await broker.close();
      };
      stopping.add(stop);
      return stop;
    },
    /** The number of batches of the queue that were returned. */
    failures: (queue: Queue): number =>
      failures.filter((line) => line.startsWith(`${queue}::`) && line.includes('requeued')).length,
    stopAll: async (): Promise<void> => {
      await Promise.allSettled([...stopping].map((stop) => stop()));
    },
  };
};
