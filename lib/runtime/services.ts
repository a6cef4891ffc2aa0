import { availableParallelism, totalmem } from 'node:os';
import { createAccessTokens } from '#lib/auth/access-tokens.ts';
import { createKeyedHash } from '#lib/auth/keyed-hash.ts';
import { deriveKey, type KeyLabel } from '#lib/auth/keys.ts';
import { createPasswords } from '#lib/auth/passwords.ts';
import { createApplicationDirectory } from '#lib/chat/application-directory.ts';
import { createChatDirectory } from '#lib/chat/chat-directory.ts';
import { createConversation } from '#lib/chat/conversation.ts';
import { createCursors } from '#lib/chat/cursors.ts';
import { createFirstGate } from '#lib/chat/first-gate.ts';
import { createIndexing } from '#lib/chat/indexing.ts';
import { createReconcile } from '#lib/chat/reconcile.ts';
import { createRecovery } from '#lib/chat/recovery.ts';
import { createRecoveryRequest } from '#lib/chat/recovery-request.ts';
import { createReindex } from '#lib/chat/reindex.ts';
import { createRelay } from '#lib/chat/relay.ts';
import { createSubmit } from '#lib/chat/submit.ts';
import { createSystemStatus } from '#lib/chat/system-status.ts';
import { commands, queueNames } from '#lib/contracts/commands.ts';
import { unavailable } from '#lib/domain/errors.ts';
import { createApplications } from '#lib/mysql/applications.ts';
import { createChats } from '#lib/mysql/chats.ts';
import { openDatabase } from '#lib/mysql/database.ts';
import { createLetterNotes } from '#lib/mysql/letter-notes.ts';
import { createMessages } from '#lib/mysql/messages.ts';
import { createMigrations } from '#lib/mysql/migrations.ts';
import { createRecoveryState } from '#lib/mysql/recovery-state.ts';
import { createUsers } from '#lib/mysql/users.ts';
import { connectOpenSearch } from '#lib/opensearch/client.ts';
import { SearchUnavailable } from '#lib/opensearch/errors.ts';
import { createIndexScan } from '#lib/opensearch/index-scan.ts';
import { createMessageIndex } from '#lib/opensearch/message-index.ts';
import { openBroker } from '#lib/rabbitmq/connection.ts';
import { createDeadLetters } from '#lib/rabbitmq/dead-letters.ts';
import { createPublisher } from '#lib/rabbitmq/publisher.ts';
import { RETRY_DELAY_MS } from '#lib/rabbitmq/topology.ts';
import { createAccept } from '#lib/redis/accept.ts';
import { createRedisClient } from '#lib/redis/client.ts';
import { createCounters } from '#lib/redis/counters.ts';
import { createDirectory } from '#lib/redis/directory.ts';
import { createGate } from '#lib/redis/gate.ts';
import { createKeys } from '#lib/redis/keys.ts';
import { createOutbox } from '#lib/redis/outbox.ts';
import { createRateLimits } from '#lib/redis/rate-limits.ts';
import { createRecentMessages } from '#lib/redis/recent-messages.ts';
import { createSignInAttempts } from '#lib/redis/sign-in-attempts.ts';
import { isAuthenticationError } from './authentication-error.ts';
import { currentConfig, currentOrigins, secrets } from './config.ts';
import { lazy, renewServices } from './lazy.ts';
import { logClientError } from './logger.ts';

/*
 * The only module that connects adapters, configuration and services. Each service is a function that creates
 * it on first use. An execution environment therefore connects only to the servers that it needs. A bundle
 * contains only the services of its function, because the bundler drops unused pure calls.
 */

/**
 * Time limits of one call to a server. A call within a request must fail well within the function's time-out.
 */
let timeouts = { redisMs: 2_000, mysqlMs: 4_000, brokerMs: 2_000 };

/** For functions without a waiting client. Call it before any service is created. */
export const allowLongCalls = () => {
  timeouts = { redisMs: 10_000, mysqlMs: 30_000, brokerMs: 15_000 };
};

/**
 * Runs before each call of a function and reads its secrets: on first use, after some minutes, and after a
 * server refused one. A changed secret renews the services.
 *
 * @throws 'unavailable' when they cannot be read
 */
export const prepareServices = async (): Promise<void> => {
  try {
    if (await secrets.refresh()) renewServices();
  } catch (error) {
    throw unavailable('The configuration cannot be read.', error);
  }
};

/**
 * The error handler of every client. Logs the error, and has the secrets read again if a server refused one.
 */
const noteClientError = (client: string) => {
  const logError = logClientError(client);
  return (error: Error): void => {
    if (isAuthenticationError(error)) secrets.doubt();
    logError(error);
  };
};

const MIB = 1024 * 1024;
const config = /* @__PURE__ */ lazy(currentConfig);

export const redisClient = /* @__PURE__ */ lazy(
  () =>
    createRedisClient(config().REDIS_URL, {
      timeoutMs: timeouts.redisMs,
      keyPrefix: config().REDIS_KEY_PREFIX,
      onError: noteClientError('Redis'),
    }),
  (client) => client.close(),
);
const keys = /* @__PURE__ */ lazy(() => createKeys(config().REDIS_KEY_PREFIX));
export const database = /* @__PURE__ */ lazy(
  () =>
    openDatabase(config().MYSQL_URL, {
      poolSize: 2,
      timeoutMs: timeouts.mysqlMs,
      onError: noteClientError('MySQL'),
    }),
  (pool) => pool.close(),
);
const broker = /* @__PURE__ */ lazy(
  () =>
    openBroker(config().RABBITMQ_URL, { timeoutMs: timeouts.brokerMs, onError: noteClientError('RabbitMQ') }),
  (connection) => connection.close(),
);

export const corsOrigins = /* @__PURE__ */ lazy(currentOrigins);
export const maxDeferrals = () => config().MAX_DEFERRALS;
export const now = /* @__PURE__ */ lazy(() => Date.now);

const keysOf = (label: KeyLabel): [Buffer, ...Buffer[]] => {
  const [current, ...earlier] = config().JWT_SECRET.map((secret) => deriveKey(secret, label));
  if (current === undefined) throw new Error('JWT_SECRET holds no secret');
  return [current, ...earlier];
};
/** Hashes accounts and client addresses, which must not appear in Redis or in logs. */
export const addressHash = /* @__PURE__ */ lazy(() => createKeyedHash(keysOf('address-hash')));
/** Hashes sign-ups, to detect another one with the same `Idempotency-Key`. */
export const requestHash = /* @__PURE__ */ lazy(() => createKeyedHash(keysOf('sign-up-fingerprint')));
export const passwords = /* @__PURE__ */ lazy(() =>
  createPasswords({
    memoryBytes: (config().AWS_LAMBDA_FUNCTION_MEMORY_SIZE ?? totalmem() / MIB) * MIB,
    processors: availableParallelism(),
  }),
);
export const accessTokens = /* @__PURE__ */ lazy(() => createAccessTokens(config().JWT_SECRET));
export const signInAttempts = /* @__PURE__ */ lazy(() =>
  createSignInAttempts({ client: redisClient(), keys: keys(), hash: addressHash().of }),
);
export const rateLimits = /* @__PURE__ */ lazy(() =>
  createRateLimits({
    client: redisClient(),
    keys: keys(),
    limits: {
      'sign-up': config().LIMIT_SIGN_UP,
      'sign-in': config().LIMIT_SIGN_IN,
      reads: config().LIMIT_READS,
      writes: config().LIMIT_WRITES,
    },
    timeoutMs: 50,
    onError: noteClientError('Rate limiter'),
  }),
);
export const migrations = /* @__PURE__ */ lazy(() => createMigrations(database()));
export const users = /* @__PURE__ */ lazy(() => createUsers(database()));

const accept = /* @__PURE__ */ lazy(() => createAccept({ client: redisClient(), keys: keys() }));
export const counters = /* @__PURE__ */ lazy(() => createCounters({ client: redisClient(), keys: keys() }));
export const gate = /* @__PURE__ */ lazy(() => createGate({ client: redisClient(), keys: keys() }));
const directory = /* @__PURE__ */ lazy(() => createDirectory({ client: redisClient(), keys: keys() }));
const recentMessages = /* @__PURE__ */ lazy(() =>
  createRecentMessages({ client: redisClient(), keys: keys() }),
);
export const outbox = /* @__PURE__ */ lazy(() => createOutbox({ client: redisClient(), keys: keys() }));

export const applications = /* @__PURE__ */ lazy(() => createApplications(database()));
export const chats = /* @__PURE__ */ lazy(() => createChats(database()));
export const messages = /* @__PURE__ */ lazy(() => createMessages(database()));
export const letterNotes = /* @__PURE__ */ lazy(() => createLetterNotes(database()));
export const recoveryState = /* @__PURE__ */ lazy(() => createRecoveryState(database()));

export const publisher = /* @__PURE__ */ lazy(() => createPublisher(broker(), queueNames));
export const deadLetters = /* @__PURE__ */ lazy(() => createDeadLetters(broker(), publisher()));
export const commandQueues = /* @__PURE__ */ lazy(() =>
  commands.filter(({ hasOutbox }) => hasOutbox).map(({ queue }) => queue),
);

const openSearch = (node: string) => connectOpenSearch(node, { onRefused: noteClientError('OpenSearch') });

export const messageIndex = /* @__PURE__ */ lazy(() => {
  const { OPENSEARCH_URL: node, OPENSEARCH_INDEX_PREFIX: prefix } = config();
  if (node === undefined) throw new SearchUnavailable('OPENSEARCH_URL is not set');
  return createMessageIndex({ client: openSearch(node), prefix });
});

export const indexScan = /* @__PURE__ */ lazy(() => {
  const { OPENSEARCH_URL: node, OPENSEARCH_INDEX_PREFIX: prefix } = config();
  if (node === undefined) throw new SearchUnavailable('OPENSEARCH_URL is not set');
  return createIndexScan({ client: openSearch(node), prefix });
});

export const applicationDirectory = /* @__PURE__ */ lazy(() =>
  createApplicationDirectory({
    directory: directory(),
    counters: counters(),
    applications: applications(),
  }),
);
export const chatDirectory = /* @__PURE__ */ lazy(() =>
  createChatDirectory({
    directory: directory(),
    counters: counters(),
    chats: chats(),
    applications: applications(),
  }),
);
export const conversation = /* @__PURE__ */ lazy(() =>
  createConversation({ recentMessages: recentMessages(), messages: messages(), chats: chats() }),
);
export const cursors = /* @__PURE__ */ lazy(() => createCursors(keysOf('cursor')));

export const submit = /* @__PURE__ */ lazy(() => {
  const onUnpublished = (queue: string, error: unknown) =>
    noteClientError('RabbitMQ publish')(
      error instanceof Error ? error : new Error(`${queue}: ${String(error)}`),
    );
  return createSubmit({
    accept: accept(),
    publisher: publisher(),
    gate: gate(),
    numbers: recoveryState(),
    askForRecovery: createRecoveryRequest({ gate: gate(), publisher: publisher(), onUnpublished }),
    onUnpublished,
    now: now(),
  });
});
export const firstGate = /* @__PURE__ */ lazy(() =>
  createFirstGate({ gate: gate(), recoveryState: recoveryState() }),
);
export const recovery = /* @__PURE__ */ lazy(() =>
  createRecovery({
    gate: gate(),
    recoveryState: recoveryState(),
    publisher: publisher(),
    applications: applications(),
    chats: chats(),
    queues: commandQueues(),
  }),
);
export const relay = /* @__PURE__ */ lazy(() =>
  createRelay({
    outbox: outbox(),
    publisher: publisher(),
    messages: messages(),
    queues: commandQueues(),
    // Each attempt takes longer than the delay, at most twice as long.
    longestDeferralMs: 2 * maxDeferrals() * RETRY_DELAY_MS,
    now: now(),
  }),
);
export const indexing = /* @__PURE__ */ lazy(() => createIndexing({ publisher: publisher() }));

export const metricsNamespace = () => config().METRICS_NAMESPACE;
export const systemStatus = /* @__PURE__ */ lazy(() =>
  createSystemStatus({
    publisher: publisher(),
    outbox: outbox(),
    gate: gate(),
    commandQueues: commandQueues(),
    queues: queueNames,
    now: now(),
  }),
);
export const reindex = /* @__PURE__ */ lazy(() =>
  createReindex({ messages: messages(), messageIndex: messageIndex(), now: Date.now }),
);
export const reconcile = /* @__PURE__ */ lazy(() =>
  createReconcile({
    messages: messages(),
    messageIndex: messageIndex(),
    indexScan: indexScan(),
    publisher: publisher(),
    now: Date.now,
  }),
);
