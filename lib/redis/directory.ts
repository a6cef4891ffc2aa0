import type { RedisClient } from './client.ts';
import { guarded } from './guard.ts';
import type { Keys } from './keys.ts';

/** Applications and chats of which a command may still be on the way to MySQL. */
export const createDirectory = ({ client, keys }: { client: RedisClient; keys: Keys }) => ({
  application: async (token: string): Promise<{ name: string; creatorId: number } | undefined> => {
    const [name, creator] = await guarded(client, ({ redis }) =>
      redis.hmget(keys.application(token), 'name', 'creator'),
    );
    return name && creator ? { name, creatorId: Number(creator) } : undefined;
  },
  /** Names of those applications that have one here. */
  applicationNames: async (tokens: string[]): Promise<Map<string, string>> => {
    const names = await guarded(client, ({ redis }) =>
      Promise.all(tokens.map((token) => redis.hget(keys.application(token), 'name'))),
    );
    return new Map(
      tokens.flatMap((token, i) => {
        const name = names[i];
        return name ? [[token, name] as const] : [];
      }),
    );
  },
  /** A user's applications that MySQL may not have yet, newest first: at most `count`. */
  pendingApplications: (userId: number, count: number): Promise<string[]> =>
    guarded(client, ({ redis }) =>
      redis.zrange(keys.pendingApplications(userId), 0, String(count - 1), 'REV'),
    ),
  /** Titles ('' for none) of those chats that MySQL may not have yet. */
  pendingChats: async (token: string, chatNumbers: number[]): Promise<Map<number, string>> => {
    if (chatNumbers.length === 0) return new Map();
    const titles = await guarded(client, ({ redis }) =>
      redis.hmget(keys.pendingChats(token), ...chatNumbers.map((chatNumber) => String(chatNumber))),
    );
    return new Map(
      chatNumbers.flatMap((chatNumber, i) => {
        const title = titles[i];
        return title === null || title === undefined ? [] : [[chatNumber, title] as const];
      }),
    );
  },
});

export type Directory = ReturnType<typeof createDirectory>;
