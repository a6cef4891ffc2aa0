import { randomUUID } from 'node:crypto';
import { type ConfirmChannel, connect } from 'amqplib';
import { Redis } from 'ioredis';
import { createConnection, type ResultSetHeader, type RowDataPacket } from 'mysql2/promise';
import { inject, vi } from 'vitest';
import { createAccessTokens } from '#lib/auth/access-tokens.ts';
import { createHandle } from '#lib/auth/handles.ts';
import { Client } from './client.ts';

/** Asks until the assertion holds; after the deadline its error is the test's. */
export const eventually = <Result>(
  assertion: () => Promise<Result> | Result,
  timeoutMs = 20_000,
): Promise<Result> => vi.waitFor(assertion, { timeout: timeoutMs, interval: 50 });

/** One statement in this run's database. */
export const query = async <Row>(sql: string, values: unknown[] = []): Promise<Row[]> => {
  const connection = await createConnection({
    uri: inject('urls').MYSQL_URL,
    timezone: 'Z',
    charset: 'utf8mb4_bin',
  });
  try {
    const [rows] = await connection.query<(Row & RowDataPacket)[]>(sql, values);
    return rows;
  } finally {
    await connection.end();
  }
};

export type User = { id: number; name: string; handle: string; client: Client };

/**
 * Creates users in MySQL, with access tokens of the API's own kind, without the slow work of sign-up.
 * @returns one for each name
 */
export const createUsers = async (names: readonly string[]): Promise<User[]> => {
  const connection = await createConnection(inject('urls').MYSQL_URL);
  try {
    const tokens = createAccessTokens([inject('functionEnvironment').JWT_SECRET ?? '']);
    const users: User[] = [];
    for (const name of names) {
      const handle = createHandle();
      const [{ insertId: id }] = await connection.query<ResultSetHeader>(
        'INSERT INTO users (name, email, handle, password, created_at) VALUES (?, ?, ?, ?, NOW(3))',
        [name, `${randomUUID()}@example.org`, handle, 'nobody signs in with this'],
      );
      const { accessToken } = await tokens.issue({ id, name, handle });
      users.push({ id, name, handle, client: new Client(inject('apiUrl'), accessToken) });
    }
    return users;
  } finally {
    await connection.end();
  }
};

export const createUser = async (name: string): Promise<User> => {
  const [user] = await createUsers([name]);
  if (user === undefined) throw new Error('No user was created');
  return user;
};

/** Runs one function of the running service by its key in serverless.yml. @returns the function's result */
export const invoke = async <Result>(functionKey: string, event: object = {}): Promise<Result> => {
  const response = await fetch(
    `${inject('lambdaUrl')}/2015-03-31/functions/chat-dev-${functionKey}/invocations`,
    { method: 'POST', body: JSON.stringify(event) },
  );
  const text = await response.text();
  if (!response.ok || response.headers.has('x-amz-function-error')) {
    throw new Error(`${functionKey} failed: ${text}`);
  }
  return JSON.parse(text === '' ? 'null' : text);
};

/** With Redis, on a connection of its own; `key` puts the run's prefix before a key. */
export const withRedis = async <Result>(
  work: (redis: Redis, key: (name: string) => string) => Promise<Result>,
): Promise<Result> => {
  const redis = new Redis(inject('urls').REDIS_URL);
  try {
    return await work(redis, (name) => `${inject('names').keyPrefix}${name}`);
  } finally {
    redis.disconnect();
  }
};

/** With a channel to RabbitMQ, on a connection of its own. */
export const withChannel = async <Result>(
  work: (channel: ConfirmChannel) => Promise<Result>,
): Promise<Result> => {
  const connection = await connect(inject('urls').RABBITMQ_URL);
  try {
    return await work(await connection.createConfirmChannel());
  } finally {
    await connection.close();
  }
};

/** Publishes persistent messages like another program. Contents become JSON; text and bytes stay unchanged. */
export const publish = (queue: string, ...contents: unknown[]): Promise<void> =>
  withChannel(async (channel) => {
    for (const content of contents) {
      const text = typeof content === 'string' ? content : JSON.stringify(content);
      const bytes = Buffer.isBuffer(content) ? content : Buffer.from(text);
      channel.sendToQueue(queue, bytes, { persistent: true });
    }
    await channel.waitForConfirms();
  });
