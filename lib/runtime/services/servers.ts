import { unavailable } from '#lib/domain/errors.ts';
import { openDatabase } from '#lib/mysql/connection/database.ts';
import { connectOpenSearch } from '#lib/opensearch/client.ts';
import { openBroker } from '#lib/rabbitmq/connection.ts';
import { createRedisClient } from '#lib/redis/connection/client.ts';
import { createKeys } from '#lib/redis/script/keys.ts';
import { isAuthenticationError } from '../authentication-error.ts';
import { currentConfig, secrets } from '../config.ts';
import { lazy, renewServices } from '../lazy.ts';
import { logClientError } from '../logger.ts';

/*
 * The clients of the servers. Each service of this room is a function that creates it on first use. An execution
 * environment therefore connects only to the servers that it needs. A bundle contains only the services of its
 * function, because the bundler drops unused pure calls.
 */

/** Time limits of one call to a server. A call within a request must fail well within the function's time-out. */
const requestTimeouts = { redisMs: 2_000, mysqlMs: 4_000, brokerMs: 2_000 };
/** For functions without a waiting client. */
const jobTimeouts = { redisMs: 10_000, mysqlMs: 30_000, brokerMs: 15_000 };
let timeouts = requestTimeouts;
/**
 * Runs before each call of a function and reads its secrets: on first use, after some minutes, and after a
 * server refused one. A changed secret renews the services.
 *
 * @throws 'unavailable' when they cannot be read
 */
const prepareServices = async (): Promise<void> => {
  try {
    if (await secrets.refresh()) renewServices();
  } catch (error) {
    throw unavailable('The configuration cannot be read.', error);
  }
};
/** Before each call of a function whose client waits for the answer. @throws as above */
export const prepareForRequest = prepareServices;
/** Before each call of a function without a waiting client: its calls to servers may take longer. @throws as above */
export const prepareForJob = async (): Promise<void> => {
  timeouts = jobTimeouts;
  await prepareServices();
};
/**
 * The error handler of every client. Logs the error, and has the secrets read again if a server refused one.
 */
export const noteClientError = (client: string) => {
  const logError = logClientError(client);
  return (error: Error): void => {
    if (isAuthenticationError(error)) secrets.doubt();
    logError(error);
  };
};
export const config = /* @__PURE__ */ lazy(currentConfig);
export const redisClient = /* @__PURE__ */ lazy(
  () =>
    createRedisClient(config().REDIS_URL, {
      timeoutMs: timeouts.redisMs,
      keyPrefix: config().REDIS_KEY_PREFIX,
      onError: noteClientError('Redis'),
    }),
  (client) => client.close(),
);
export const keys = /* @__PURE__ */ lazy(() => createKeys(config().REDIS_KEY_PREFIX));
export const database = /* @__PURE__ */ lazy(
  () =>
    openDatabase(config().MYSQL_URL, {
      poolSize: 2,
      timeoutMs: timeouts.mysqlMs,
      onError: noteClientError('MySQL'),
    }),
  (pool) => pool.close(),
);
export const broker = /* @__PURE__ */ lazy(
  () =>
    openBroker(config().RABBITMQ_URL, { timeoutMs: timeouts.brokerMs, onError: noteClientError('RabbitMQ') }),
  (connection) => connection.close(),
);
export const openSearch = (node: string) =>
  connectOpenSearch(node, { onRefused: noteClientError('OpenSearch') });
