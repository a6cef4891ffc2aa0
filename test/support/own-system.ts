import { randomUUID } from 'node:crypto';
import { vi } from 'vitest';
import { commands } from '#lib/contracts/commands/all.ts';
import type { Database } from '#lib/mysql/connection/database.ts';
import { createLambdaContext } from '../../local/emulation/lambda-context.ts';
import {
  type RunningService,
  type ServiceName,
  silentReport,
  startServices,
  type Urls,
} from '../../local/services/index.ts';
import { depthsOf } from './depths.ts';
import { loadServices } from './load-services.ts';
import { createConsumers } from './queue-consumers.ts';
import { rabbitmqctl } from './rabbitmqctl.ts';
import { createWrites } from './writes.ts';

const operations = {
  migrate: () => import('../../functions/operations/migrate.ts'),
  deadLetters: () => import('../../functions/operations/dead-letters.ts'),
  reindex: () => import('../../functions/operations/reindex.ts'),
  reconcile: () => import('../../functions/operations/reconcile.ts'),
  relayOutbox: () => import('../../functions/scheduled/relay-outbox.ts'),
  recoverCounters: () => import('../../functions/scheduled/recover-counters.ts'),
  syncCounts: () => import('../../functions/scheduled/sync-counts.ts'),
  eraseDeleted: () => import('../../functions/scheduled/erase-deleted.ts'),
} as const;

/** Asks until the assertion holds; after the deadline its error is the test's. */
export const eventually = <Result>(
  assertion: () => Promise<Result> | Result,
  timeoutMs = 20_000,
): Promise<Result> => vi.waitFor(assertion, { timeout: timeoutMs, interval: 50 });

/** @returns the id of a new user */
const createUser = async (database: Database): Promise<number> => {
  await database.write(
    "INSERT INTO users (name, email, password, created_at) VALUES ('Ada', ?, '-', NOW(3))",
    [`${randomUUID()}@example.org`],
  );
  const [user] = await database.select('SELECT MAX(id) AS id FROM users', []);
  return user?.id ?? 0;
};

type Environment = Record<string, string> | ((urls: Urls) => Promise<Record<string, string>>);

/** Starts the servers, and sets the environment of the functions. */
const startStack = async (
  name: string,
  only: readonly ServiceName[] | undefined,
  environment: Environment,
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
  return stack;
};

/**
 * Starts servers for one test file, which may stop, freeze and wipe them, and runs the functions' handlers on them in
 * this process. One for each file, because an execution environment creates its clients once.
 */
export const startSystem = async (
  name: string,
  {
    only,
    environment = {},
  }: {
    only?: readonly ServiceName[];
    environment?: Environment;
  } = {},
) => {
  const stack = await startStack(name, only, environment);
  const services = await loadServices();
  const consumers = createConsumers(name, stack.urls);

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

  await invoke('migrate');
  const database = services.database();
  const userId = await createUser(database);

  const stored = async (token: string, chatNumber: number): Promise<number[]> => {
    const rows = await database.select(
      'SELECT number FROM messages WHERE token = ? AND chat_number = ? ORDER BY number',
      [token, chatNumber],
    );
    return rows.map((row) => row.number);
  };
  const depths = () =>
    depthsOf(
      { client: services.redisClient(), keys: services.keys() },
      commands.slice(0, -1).map(({ queue }) => queue),
    );

  return {
    stack,
    service,
    services,
    userId,
    /** Runs RabbitMQ's own command on the broker of this system. */
    rabbitmqctl: (...args: string[]) => rabbitmqctl(stack, ...args),
    accept: createWrites(services.submit, userId),
    consume: consumers.consume,
    failures: consumers.failures,
    invoke,
    /** Numbers of a chat's messages that MySQL has. */
    stored,
    /** The number of pending commands, by queue. */
    depths,
    stop: async (): Promise<void> => {
      await consumers.stopAll();
      await stack.stop();
    },
  };
};

export type System = Awaited<ReturnType<typeof startSystem>>;

/** 1, 2, 3 … `count`. */
export const upTo = (count: number): number[] => Array.from({ length: count }, (_, at) => at + 1);
