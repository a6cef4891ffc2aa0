import { type ChatReference, chatReference } from '#lib/domain/reference.ts';
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

/** Returns the pending chats, and the clock after the last loss. MySQL may have newer titles than pending chats up to it. */
const readChats = defineScript(
  { uses: [gate], keys: ['state', 'pending'], args: ['server'], each: { args: ['number'] } },
  {
    before: 'local _, _, _, _, behind = readState(state, server)',
    each: "return redis.call('HGET', pending, number)",
    after: "return { behind or '0', results }",
  },
  expecting<[behind: string, chats: (string | null)[]]>,
);

/** A chat with a creation or an edit that MySQL may not have. `isNewest`: MySQL has no newer version. */
export type PendingChat = { title: string | undefined; version: number; isNewest: boolean };

/** `<version> <creator> <title>`, as the accepting scripts write it. */
const toPendingChat = (text: string, behind: number): PendingChat => {
  const [, version, title] = /^(\d+) \d+ (.*)$/s.exec(text) ?? [];
  return { title: title || undefined, version: Number(version), isNewest: Number(version) > behind };
};

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
    /** Those of the chats whose creations are pending, by {@link chatReference}. */
    pendingCreations: async (refs: readonly ChatReference[]): Promise<ReadonlySet<string>> => {
      const found = await guarded(client, ({ redis }) =>
        Promise.all(
          refs.map(({ token, chatNumber }) => redis.hexists(keys.pendingChats(token), `c${chatNumber}`)),
        ),
      );
      return new Set(refs.filter((_ref, i) => found[i] === 1).map(chatReference));
    },
    /** Those of the applications that have a pending command besides their deletion. */
    pendingBesides: async (tokens: readonly string[]): Promise<ReadonlySet<string>> => {
      const found = await guarded(client, ({ redis }) =>
        Promise.all(tokens.map((token) => redis.hget(keys.application(token), 'pending'))),
      );
      return new Set(tokens.filter((_token, i) => Number(found[i] ?? 0) > 1));
    },
    /** Those of the chats that have pending commands. */
    pendingChats: async (token: string, chatNumbers: number[]): Promise<Map<number, PendingChat>> => {
      if (chatNumbers.length === 0) return new Map();
      const [behind, chats] = await guarded(
        client,
        runScript(
          readChats,
          { state: keys.state, pending: keys.pendingChats(token) },
          chatNumbers.map((number) => ({ number })),
        ),
      );
      return new Map(
        chatNumbers.flatMap((chatNumber, i) => {
          const found = chats[i];
          return found ? [[chatNumber, toPendingChat(found, Number(behind))] as const] : [];
        }),
      );
    },
  };
};

export type Directory = ReturnType<typeof createDirectory>;
