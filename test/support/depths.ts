import type { RedisClient } from '#lib/redis/connection/client.ts';
import type { Keys } from '#lib/redis/script/keys.ts';

/** @returns the number of pending commands of each queue, and of messages that the index does not have */
export const depthsOf = async (
  { client, keys }: { client: RedisClient; keys: Keys },
  queues: readonly string[],
): Promise<Record<string, number>> => {
  const { redis } = await client.connection();
  const depths: Record<string, number> = {};
  // A message moves from a queue's outbox to that of the index, so the index comes last.
  for (const queue of queues) depths[queue] = await redis.xlen(keys.outbox(queue));
  depths['index-message'] = await redis.zcard(keys.indexOutbox);
  return depths;
};
