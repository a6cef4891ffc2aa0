import { gather } from '#lib/concurrency/gather.ts';
import { limits } from '#lib/domain/limits.ts';
import type { Connection, RedisClient } from '../connection/client.ts';
import { guarded } from '../connection/guard.ts';
import { gate } from '../gate/gate.lua.ts';
import { connecting } from '../live/connections.lua.ts';
import type { Keys } from '../script/keys.ts';
import { defineScript, expecting, runScript } from '../script/script.ts';

/** The present generation of a user's access tokens. */
export type Generation = { id: number; generation: number };

/**
 * A user's generation in Redis. Without a `present` one no token of the user has ended, provided that the answer
 * `isCertain`: while the gate is closed, Redis may have lost the generation.
 */
export type KnownGeneration = { present: number | undefined; isCertain: boolean };

/** Checks that share one call. */
const TOGETHER = 200;
/** The oldest token that may still be valid, with room for a slow sign-in and for the clocks of two machines. */
export const revocationSeconds = limits.accessTokenSeconds + (2 * limits.skewMs) / 1000;

/**
 * Raises generations, so that two revocations may cross, and ends the connections of the tokens that end with them. Returns
 * these connections, and whether the gate is open: until then another server may
 * still be the primary for somebody, and this call may be lost.
 */
const raiseGenerations = defineScript(
  {
    uses: [gate, connecting],
    keys: ['state'],
    args: ['server', 'seconds', 'prefix'],
    each: { keys: ['generations', 'connections'], args: ['present'] },
  },
  {
    each: /* lua */ `
  if tonumber(redis.call('GET', generations) or '-1') < tonumber(present) then
    redis.call('SET', generations, present, 'EX', seconds)
  end
  -- Also of a generation that is known: a rollback may have brought connections back.
  local ended = {}
  for _, id in ipairs(redis.call('ZRANGE', connections, 0, -1)) do
    local connection = prefix .. 'connection::' .. id
    local generation = redis.call('HGET', connection, 'generation')
    if generation and tonumber(generation) < tonumber(present) then
      finish(prefix, connection, id, 'signed-out')
      ended[#ended + 1] = id
    end
  end
  return ended
`,
    after: /* lua */ `
return { readState(state, server) and 'open' or 'closed', results }
`,
  },
  expecting<[gate: 'open' | 'closed', ended: string[][]]>,
);

/** Reads generations, and whether the gate is open, in one script: otherwise a loss could fall between the two. */
const readGenerations = defineScript(
  { uses: [gate], keys: ['state'], args: ['server'], each: { keys: ['generations'] } },
  {
    each: /* lua */ `
  return redis.call('GET', generations)
`,
    after: /* lua */ `
return { readState(state, server) and '1' or '', results }
`,
  },
  expecting<[isOpen: '1' | '', present: (string | null)[]]>,
);

/** The keys that a revocation reads and writes. */
export type RevocationKeys = Pick<Keys, 'prefix' | 'state' | 'generation' | 'connections'>;
/** `gate`: 'closed' if a revocation may be lost. `ended`: ids of the connections that ended with their tokens. */
export type Revoked = { gate: 'open' | 'closed'; ended: string[] };

/** Raises generations on one connection. */
export const raiseOn =
  ({ keys }: { keys: RevocationKeys }, users: readonly Generation[]) =>
  async (connection: Connection): Promise<Revoked> => {
    const [gate, ended] = await runScript(
      raiseGenerations,
      { state: keys.state, seconds: revocationSeconds, prefix: keys.prefix },
      users.map(({ id, generation }) => ({
        generations: keys.generation(id),
        connections: keys.connections(id),
        present: generation,
      })),
    )(connection);
    return { gate, ended: ended.flat() };
  };

/** The generations of access tokens in Redis, each for as long as a token of an earlier one could live. */
export const createGenerations = ({ client, keys }: { client: RedisClient; keys: Keys }) => {
  const read = gather(
    async (ids: readonly number[]): Promise<KnownGeneration[]> => {
      // One user may be a server that acts for many people.
      const users = [...new Set(ids)];
      const [isOpen, found] = await guarded(
        client,
        runScript(
          readGenerations,
          { state: keys.state },
          users.map((id) => ({ generations: keys.generation(id) })),
        ),
      );
      const known = new Map<number, KnownGeneration>();
      const isCertain = isOpen === '1';
      for (const [i, id] of users.entries()) {
        const present = found[i] ?? undefined;
        known.set(id, { present: present === undefined ? undefined : Number(present), isCertain });
      }
      return ids.map((id) => known.get(id) ?? { present: undefined, isCertain: false });
    },
    { size: TOGETHER },
  );

  return {
    /** Requests of one turn of the event loop share a call. @throws unavailable */
    read,

    /**
     * Ends the tokens of earlier generations, and their connections. A generation never sinks. @throws unavailable
     */
    raise: (users: readonly Generation[]): Promise<Revoked> => guarded(client, raiseOn({ keys }, users)),
  };
};

export type Generations = ReturnType<typeof createGenerations>;
