import type { Redis } from 'ioredis';
import type { Connection, RedisClient } from '#lib/redis/connection/client.ts';

/**
 * A client of a server that knows no script and runs none. `texts` collects the scripts that were sent to it.
 * @param onScript runs before the script's text is sent
 * @param reply answers each script; without it each fails
 */
export const scriptsOnly = ({
  onScript = () => undefined,
  reply,
}: {
  onScript?: () => void;
  reply?: unknown;
} = {}) => {
  const texts = new Set<string>();
  const redis = {
    evalsha: async () => {
      onScript();
      throw new Error('NOSCRIPT No matching script');
    },
    eval: async (text: string) => {
      texts.add(text);
      if (reply !== undefined) return reply;
      throw new Error('This server runs nothing');
    },
  };
  const connection: Connection = {
    redis: redis as never as Redis,
    server: 'run',
    isOpen: true,
  };
  const client: Pick<RedisClient, 'connection'> = { connection: async () => connection };
  return { client: client as RedisClient, texts };
};
