import type { RedisClient } from '../connection/client.ts';
import { guarded } from '../connection/guard.ts';
import { gate } from '../gate/gate.lua.ts';
import type { Keys } from '../script/keys.ts';
import { defineScript, expecting, runScript } from '../script/script.ts';

/** Names from before a loss are ignored, because a rolled-back Redis may have outdated ones. */
const readApplications = defineScript(
  { uses: [gate], keys: ['state'], each: { keys: ['application'] } },
  {
    before: 'local lost = lossOf(state)',
    each: /* lua */ `
  local name, version, known = unpack(redis.call('HMGET', application, 'name', 'version', 'lost'))
  return name and known == lost and { name, version }
`,
  },
  expecting<([name: string, version: string] | null)[]>,
);

/** Reads applications and chats that may have pending commands. */
export const createDirectory = ({ client, keys }: { client: RedisClient; keys: Keys }) => {
  const read = (tokens: readonly string[]) =>
    guarded(
      client,
      runScript(
        readApplications,
        { state: keys.state },
        tokens.map((token) => ({ application: keys.application(token) })),
      ),
    );
  return {
    application: async (token: string): Promise<{ name: string; version: number } | undefined> => {
      const [found] = await read([token]);
      return found ? { name: found[0], version: Number(found[1]) } : undefined;
    },
    /** The names of those applications whose name Redis has. */
    applicationNames: async (tokens: readonly string[]): Promise<Map<string, string>> => {
      if (tokens.length === 0) return new Map();
      const found = await read(tokens);
      return new Map(
        tokens.flatMap((token, i) => {
          const name = found[i]?.[0];
          return name ? [[token, name] as const] : [];
        }),
      );
    },
    /** The pending applications of a user, newest first, at most `count`. */
    pendingApplications: (userId: number, count: number): Promise<string[]> =>
      guarded(client, ({ redis }) =>
        redis.zrange(keys.pendingApplications(userId), 0, String(count - 1), 'REV'),
      ),
    /** The titles ('' for none) of pending chats. */
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
  };
};

export type Directory = ReturnType<typeof createDirectory>;
