import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import {
  createBroker,
  createEventSourceMapping,
  type EventSourceMapping,
} from 'serverless-offline-rabbitmq/event-source';
import { vi } from 'vitest';
import { commands } from '#lib/contracts/commands.ts';
import { createLambdaContext } from '../../local/emulation/lambda-context.ts';
import {
  type RunningService,
  type ServiceName,
  silentReport,
  startServices,
  type Urls,
} from '../../local/services/index.ts';

const run = promisify(execFile);
/** One line for each batch that was thrown back. */
const failures: string[] = [];
const quiet = {
  notice: () => undefined,
  warning: () => undefined,
  error: (line: string) => {
    failures.push(line);
  },
};
const consumerFiles = {
  'create-application': () => import('../../functions/consumers/persist-application.ts'),
  'update-application': () => import('../../functions/consumers/persist-application-update.ts'),
  'create-chat': () => import('../../functions/consumers/persist-chat.ts'),
  'create-message': () => import('../../functions/consumers/persist-message.ts'),
  'update-message': () => import('../../functions/consumers/persist-message-update.ts'),
  'index-message': () => import('../../functions/consumers/index-message.ts'),
  'recover-counters': () => import('../../functions/scheduled/recover-counters.ts'),
} as const;
export type Queue = keyof typeof consumerFiles;
const isQueue = (name: string): name is Queue => name in consumerFiles;

const operations = {
  migrate: () => import('../../functions/operations/migrate.ts'),
  deadLetters: () => import('../../functions/operations/dead-letters.ts'),
  reindex: () => import('../../functions/operations/reindex.ts'),
  reconcile: () => import('../../functions/operations/reconcile.ts'),
  relayOutbox: () => import('../../functions/scheduled/relay-outbox.ts'),
  recoverCounters: () => import('../../functions/scheduled/recover-counters.ts'),
  syncCounts: () => import('../../functions/scheduled/sync-counts.ts'),
} as const;

/** Asks until the assertion holds; after the deadline its error is the test's. */
export const eventually = <Result>(
  assertion: () => Promise<Result> | Result,
  timeoutMs = 20_000,
): Promise<Result> => vi.waitFor(assertion, { timeout: timeoutMs, interval: 50 });

/**
 * Servers of a test file's own, to be ended, frozen and wiped, and the functions on them: the handlers themselves, fed by
 * the project's own event source. One of these a file, since an execution environment has its clients once.
 */
export const startSystem = async (
  name: string,
  {
    only,
    environment = {},
  }: {
    only?: readonly ServiceName[];
    environment?: Record<string, string> | ((urls: Urls) => Promise<Record<string, string>>);
  } = {},
) => {
  const { MYSQL_URL, REDIS_URL, RABBITMQ_URL, OPENSEARCH_URL, ...machine } = process.env;
  const stack = await startServices({
    stack: `test-${name}-${process.pid}`,
    environment: machine,
    report: silentReport,
    fresh: true,
    ...(only === undefined ? {} : { only }),
  });
  Object.assign(process.env, {
    OPENSEARCH_URL: '',
    ...stack.urls,
    JWT_SECRET: stack.secret('jwt'),
    POWERTOOLS_LOG_LEVEL: 'SILENT',
    ...(typeof environment === 'function' ? await environment(stack.urls) : environment),
  });
  const services = await import('#lib/runtime/services.ts');

  const service = (wanted: ServiceName): RunningService => {
    const found = stack.services[wanted];
    if (found === undefined) throw new Error(`This system has no ${wanted}`);
    return found;
  };

  /** Runs an operation or a scheduled function once. */
  const invoke = async (
    operation: keyof typeof operations,
    event: object = {},
    timeoutMs = 60_000,
  ): Promise<unknown> => {
    const { handler } = await operations[operation]();
    return handler(event, createLambdaContext(operation, timeoutMs));
  };

  const vhost = decodeURIComponent(new URL(stack.urls.RABBITMQ_URL).pathname.slice(1)) || '/';
  const stopping = new Set<() => Promise<void>>();
  /** Feeds functions from their queues; where none are named, all consumers that have their servers. @returns ends that */
  const consume = async (...queues: Queue[]): Promise<() => Promise<void>> => {
    const broker = createBroker({
      url: new URL(stack.urls.RABBITMQ_URL),
      virtualHost: vhost,
      connectionName: name,
      log: quiet,
    });
    const served = commands
      .map(({ queue }) => queue)
      .filter(isQueue)
      .filter((queue) => queue !== 'index-message' || stack.urls.OPENSEARCH_URL !== undefined);
    const wanted = queues.length > 0 ? queues : served;
    const mappings: EventSourceMapping[] = [];
    for (const queue of wanted) {
      const { handler } = await consumerFiles[queue]();
      const settings = {
        functionKey: queue,
        queue,
        virtualHost: vhost,
        eventSourceArn: 'arn:aws:mq:local:000000000000:broker:chat:b-0',
        batchSize: 1_000,
        batchingWindowMs: 0,
        consumerTag: queue,
      };
      const mapping = createEventSourceMapping(
        settings,
        broker,
        async (event) => {
          await handler(event, createLambdaContext(queue, 60_000));
        },
        quiet,
        { firstMs: 100, lastMs: 500 },
      );
      mapping.start();
      mappings.push(mapping);
    }
    const stop = async () => {
      stopping.delete(stop);
      await Promise.all(mappings.map((mapping) => mapping.stop(5_000)));
      await broker.close();
    };
    stopping.add(stop);
    return stop;
  };

  /** Runs RabbitMQ's own command on the broker of this system. */
  const rabbitmqctl = async (...args: string[]): Promise<void> => {
    const state: { ports: Record<string, number> } = JSON.parse(
      await readFile(join(stack.folder, 'state.json'), 'utf8'),
    );
    const cookie = await readFile(join(stack.folder, 'rabbitmq/.erlang.cookie'), 'utf8');
    await run(
      '/usr/lib/rabbitmq/bin/rabbitmqctl',
      ['--erlang-cookie', cookie, '-n', 'rabbit@localhost', ...args],
      {
        cwd: '/',
        env: { ...machine, HOME: '/', ERL_EPMD_PORT: String(state.ports['rabbitmq-epmd']) },
      },
    );
  };

  await invoke('migrate');
  const database = services.database();
  await database.write(
    "INSERT INTO users (name, email, password, created_at) VALUES ('Ada', ?, '-', NOW(3))",
    [`${randomUUID()}@example.org`],
  );
  const [user] = await database.select('SELECT MAX(id) AS id FROM users', []);
  const userId: number = user?.id ?? 0;

  let sequence = 0;
  /** Writes as the HTTP functions accept them, all by one user. */
  const accept = {
    application: (name = 'app'): Promise<string> =>
      services.submit().application({ name, creatorId: userId }),
    chat: (token: string): Promise<number> => services.submit().chat({ token, creatorId: userId }),
    message: (token: string, chatNumber: number, body = `message ${++sequence}`): Promise<number> =>
      services.submit().message({
        token,
        chatNumber,
        senderId: userId,
        senderName: 'Ada',
        body,
        createdAtMs: Date.now(),
      }),
    messages: async (token: string, chatNumber: number, count: number): Promise<number[]> => {
      const numbers: number[] = [];
      // Not more at once than one environment's clients take within their time.
      for (let left = count; left > 0; left -= 250) {
        numbers.push(
          ...(await Promise.all(
            Array.from({ length: Math.min(250, left) }, () => accept.message(token, chatNumber)),
          )),
        );
      }
      return numbers;
    },
  };

  const stored = async (token: string, chatNumber: number): Promise<number[]> => {
    const rows = await database.select(
      'SELECT number FROM messages WHERE token = ? AND chat_number = ? ORDER BY number',
      [token, chatNumber],
    );
    return rows.map((row) => row.number);
  };
  const depths = () => services.outbox().depths(commands.slice(0, -1).map(({ queue }) => queue));

  return {
    stack,
    service,
    services,
    userId,
    accept,
    consume,
    invoke,
    rabbitmqctl,
    /** How many batches of the queue were thrown back. */
    failures: (queue: Queue): number =>
      failures.filter((line) => line.startsWith(`${queue}::`) && line.includes('requeued')).length,
    /** Numbers of a chat's messages that MySQL has. */
    stored,
    /** What the outbox still holds, by queue. */
    depths,
    stop: async (): Promise<void> => {
      await Promise.allSettled([...stopping].map((stop) => stop()));
      await stack.stop();
    },
  };
};

export type System = Awaited<ReturnType<typeof startSystem>>;

/** 1, 2, 3 … `count`. */
export const upTo = (count: number): number[] => Array.from({ length: count }, (_, at) => at + 1);
