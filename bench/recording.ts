import type { Client } from '@opensearch-project/opensearch';
import { Redis } from 'ioredis';
import { createPool } from 'mysql2/promise';
import { type Database, openDatabase, type Value } from '#lib/mysql/database.ts';
import { connectOpenSearch } from '#lib/opensearch/client.ts';
import type { RedisClient } from '#lib/redis/client.ts';

type Replay = () => Promise<unknown>;

/**
 * Adapters' own connections, which note what is asked of the servers, so that just this can be asked again by the bare
 * drivers: what the rest of a function costs is the difference.
 */
export const openRecording = (urls: { mysql: string; redis: string; opensearch: string }) => {
  let groups: Replay[][] | undefined;
  let underWay = 0;
  const note = async <Result>(replay: Replay, work: () => Promise<Result>): Promise<Result> => {
    // What starts while nothing else is under way waited for what came before.
    if (underWay === 0) groups?.push([]);
    groups?.at(-1)?.push(replay);
    underWay += 1;
    try {
      return await work();
    } finally {
      underWay -= 1;
    }
  };

  const bareRedis = new Redis(urls.redis);
  const redis = new Redis(urls.redis);
  const send = redis.sendCommand.bind(redis);
  redis.sendCommand = (command, stream) =>
    note(
      () => bareRedis.call(command.name, command.args.map(String)),
      () => Promise.resolve(send(command, stream)),
    );

  const bareMysql = createPool({ uri: urls.mysql, connectionLimit: 2, charset: 'utf8mb4', timezone: 'Z' });
  const opened = openDatabase(urls.mysql, { poolSize: 2, timeoutMs: 10_000, onError: () => undefined });
  const database: Database = {
    ...opened,
    select: (sql: string, values: readonly Value[]) =>
      note(
        () => bareMysql.query(sql, [...values]),
        () => opened.select(sql, values),
      ),
  };

  const bareClient = connectOpenSearch(urls.opensearch);
  const client: Client = connectOpenSearch(urls.opensearch);
  const request = client.transport.request.bind(client.transport);
  Object.assign(client.transport, {
    request: (...[params, options]: Parameters<typeof request>) => {
      const sent = request(params, options);
      const done = note(
        () => bareClient.transport.request(params),
        () => Promise.resolve(sent),
      );
      return Object.assign(done, { abort: () => sent.abort() });
    },
  });

  const connection = Promise.resolve({ redis, server: 'bench', identified: true, isOpen: true });
  const redisClient: RedisClient = {
    connection: () => connection,
    inspect: async () => 'identified',
    close: () => redis.disconnect(),
  };

  return {
    redisClient,
    database,
    client,
    /** @returns what `work` asks of the servers, to be asked again, in the same order and as much at once */
    record: async (work: () => Promise<unknown>): Promise<Replay> => {
      // Connections and scripts are there from the second time on.
      await work();
      const recorded: Replay[][] = [];
      groups = recorded;
      await work();
      groups = undefined;
      return async () => {
        for (const group of recorded) await Promise.all(group.map((replay) => replay()));
      };
    },
    close: async () => {
      redisClient.close();
      bareRedis.disconnect();
      await Promise.allSettled([bareMysql.end(), opened.close(), client.close(), bareClient.close()]);
    },
  };
};
