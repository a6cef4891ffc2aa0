import { Redis } from 'ioredis';
import { createConnection } from 'mysql2/promise';
import type { TestProject } from 'vitest/node';
import {
  Failure,
  removeAbandonedStacks,
  type Stack,
  startServices,
  terminalReport,
  type Urls,
} from '../../local/services/index.ts';

/** Names that separate runs on servers that are given by URL; empty on servers of the run's own. */
export interface Names {
  /** Before every Redis key. */
  keyPrefix: string;
  /** Before every OpenSearch index and alias. */
  indexPrefix: string;
}

declare module 'vitest' {
  interface ProvidedContext {
    urls: Urls;
    names: Names;
  }
}

/** A database of the run's own on a MySQL that is given. */
const createDatabase = async (url: string, name: string) => {
  const connection = await createConnection(url);
  await connection.query(`CREATE DATABASE \`${name}\` CHARACTER SET utf8mb4`).finally(() => connection.end());
  const own = new URL(url);
  own.pathname = `/${name}`;
  return {
    url: own.href,
    remove: async () => {
      const again = await createConnection(url);
      await again.query(`DROP DATABASE IF EXISTS \`${name}\``).finally(() => again.end());
    },
  };
};

const removeKeys = async (url: string, prefix: string) => {
  const redis = new Redis(url, { maxRetriesPerRequest: 1 });
  try {
    for await (const keys of redis.scanStream({ match: `${prefix}*`, count: 1000 })) {
      if (keys.length > 0) await redis.unlink(...keys);
    }
  } finally {
    redis.disconnect();
  }
};

const removeIndices = async (url: string, prefix: string) => {
  const base = new URL(url);
  const authorization = Buffer.from(`${base.username}:${base.password}`).toString('base64');
  const headers: Record<string, string> =
    base.username === '' ? {} : { authorization: `Basic ${authorization}` };
  base.username = '';
  base.password = '';
  await fetch(new URL(`/${prefix}*?expand_wildcards=all`, base), { method: 'DELETE', headers });
};

/** AMQP cannot create a virtual host, and the default one may belong to another program. */
const checkVhost = (url: string) => {
  if (['', '/', '/%2F', '/%2f'].includes(new URL(url).pathname)) {
    throw new Failure(
      'RABBITMQ_URL names the default vhost, which tests must not touch. Make one for them (rabbitmqctl add_vhost chat-test; rabbitmqctl set_permissions -p chat-test <user> ".*" ".*" ".*") and give amqp://…/chat-test, or unset RABBITMQ_URL.',
    );
  }
};

/**
 * Starts servers for this project of this test run, with data of their own that are removed at the end, and hands their URLs to
 * the tests: `inject('urls')`, `inject('names')`. On a server that the environment gives by URL, the run keeps to
 * a database, key prefix and index prefix of its own, and wants a vhost of its own.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const run = `test-${process.pid}-${project.name}`;
  const { environment, names, urls, cleanUp } = await prepareGiven(run, process.env);
  await removeAbandonedStacks('test-');
  let stack: Stack;
  try {
    stack = await startServices({
      stack: run,
      environment,
      report: terminalReport(process.stderr),
      fresh: true,
    });
  } catch (error) {
    await cleanUp();
    // The terminal shows the reason, without the runner's irrelevant stack.
    if (error instanceof Failure) error.stack = error.message;
    throw error;
  }
  project.provide('urls', { ...stack.urls, ...urls });
  project.provide('names', names);
  return async () => {
    await cleanUp();
    await stack.stop();
  };
}

const prepareGiven = async (run: string, environment: NodeJS.ProcessEnv) => {
  const cleaning: (() => Promise<void>)[] = [];
  const { MYSQL_URL, REDIS_URL, RABBITMQ_URL, OPENSEARCH_URL } = environment;
  if (RABBITMQ_URL) checkVhost(RABBITMQ_URL);
  const names: Names = {
    keyPrefix: REDIS_URL ? `${run}:` : '',
    indexPrefix: OPENSEARCH_URL ? `${run}-` : '',
  };
  const urls: Partial<Urls> = {};
  if (MYSQL_URL) {
    const database = await createDatabase(MYSQL_URL, run.replaceAll('-', '_'));
    urls.MYSQL_URL = database.url;
    cleaning.push(database.remove);
  }
  if (REDIS_URL) cleaning.push(() => removeKeys(REDIS_URL, names.keyPrefix));
  if (OPENSEARCH_URL) cleaning.push(() => removeIndices(OPENSEARCH_URL, names.indexPrefix));
  return {
    environment,
    names,
    urls,
    cleanUp: async () => {
      await Promise.allSettled(cleaning.map((clean) => clean()));
    },
  };
};
