import type { Redis } from 'ioredis';
import type { Connection, RedisClient } from '#lib/redis/connection/client.ts';

/**
 * A client of a server that knows no script and runs none. `texts` collects the scripts that were sent to it.
 * @param onScript runs before the script's text is sent
 */
export const scriptsOnly = (onScript: () => void = () => undefined) => {
  const texts = new Set<string>();
  const redis = {
    evalsha: async () => {
      onScript();
      throw new Error('NOSCRIPT No matching script');
    },
    eval: async (text: string) => {
      texts.add(text);
      throw new Error('This server runs nothing');
    },
  };
  const connection: Connection = {
    redis: redis as never as Redis,
    server: 'run',
    identified: true,
    isOpen: true,
  };
  const client: Pick<RedisClient, 'connection'> = { connection: async () => connection };
  return { client: client as RedisClient, texts };
};
