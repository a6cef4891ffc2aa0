import type { ClosingReason } from '#lib/contracts/frames/server.ts';
import { type CounterReference, counterReference, parseCounterReference } from '#lib/domain/reference.ts';
import { socketLimits } from '#lib/domain/socket-limits.ts';
import type { RedisClient } from '../connection/client.ts';
import { guarded } from '../connection/guard.ts';
import { gate } from '../gate/gate.lua.ts';
import type { Keys } from '../script/keys.ts';
import { defineScript, expecting, runScript } from '../script/script.ts';
import { connecting } from './connections.lua.ts';

/** Who connects: the user of an access token, its generation, and its end. */
type Holder = { id: number; generation: number; endsAtMs: number };

/**
 * Why a connection may not act. 'gone': the server ended it. 'unknown': it never authenticated, or Redis forgot it. 'closed':
 * the gate is closed, and a revocation may be lost.
 */
type Barred = { kind: 'gone'; reason: ClosingReason } | { kind: 'unknown' } | { kind: 'closed' };
type BarredReply = ['gone', reason: ClosingReason] | ['unknown'] | ['closed'];

const authenticate = defineScript(
  {
    uses: [gate, connecting],
    keys: ['state', 'generations', 'connection', 'connections'],
    args: ['server', 'prefix', 'id', 'user', 'generation', 'ends'],
  },
  /* lua */ `
if not readState(state, server) then return { 'closed' } end
local present = redis.call('GET', generations)
if present and tonumber(generation) < tonumber(present) then return { 'ended' } end
local known, closed = unpack(redis.call('HMGET', connection, 'user', 'closed'))
if closed then return { 'gone', closed } end
if known and known ~= user then return { 'another' } end
local now = nowMs()
redis.call('ZREMRANGEBYSCORE', connections, '-inf', text(now))
if not redis.call('ZSCORE', connections, id) and redis.call('ZCARD', connections) >= ${socketLimits.connections} then
  finish(prefix, connection, id, 'limit')
  return { 'full' }
end
redis.call('HSET', connection, 'user', user, 'generation', generation, 'ends', ends)
renew(prefix, connection, id, ends, user, now)
return { 'authenticated' }
`,
  expecting<['authenticated' | 'ended' | 'another' | 'full'] | BarredReply>,
);

/** Renews the leases. Returns the subscriptions that go on, with the newest change of each. */
const ping = defineScript(
  { uses: [gate, connecting], keys: ['state', 'connection'], args: ['server', 'prefix', 'id'] },
  /* lua */ `
if not readState(state, server) then return { 'closed' } end
local now = nowMs()
local holder, barred = useOf(prefix, connection, id, now)
if not holder then return barred end
local opened = redis.call('HGET', state, 'opened')
local positions = {}
for _, reference in ipairs(subscriptionsOf(connection)) do
  local newest = redis.call('GET', watchedOf(prefix, reference))
  if not newest or isSubscriptionOver(prefix, reference) then
    redis.call('HDEL', connection, '+' .. reference)
    redis.call('ZREM', subscribersOf(prefix, reference), id)
  else
    positions[#positions + 1] = reference
    positions[#positions + 1] = opened and tonumber(opened) > tonumber(newest) and opened or newest
  end
end
renew(prefix, connection, id, holder.ends, holder.user, now)
return { 'alive', positions }
`,
  expecting<['alive', positions: string[]] | BarredReply>,
);

const unsubscribe = defineScript(
  {
    uses: [gate, connecting],
    keys: ['state', 'connection', 'subscribers'],
    args: ['server', 'prefix', 'id', 'reference'],
  },
  /* lua */ `
if not readState(state, server) then return { 'closed' } end
local holder, barred = useOf(prefix, connection, id, nowMs())
if not holder then return barred end
redis.call('HDEL', connection, '+' .. reference)
redis.call('ZREM', subscribers, id)
return { 'unsubscribed' }
`,
  expecting<['unsubscribed'] | BarredReply>,
);

const forgetConnections = defineScript(
  { uses: [connecting], args: ['prefix'], each: { keys: ['connection'], args: ['id'] } },
  /* lua */ `
  forget(prefix, connection, id)
`,
);

/** Counts a frame. A connection that is closed for its bad frames is remembered. */
const countFrame = defineScript(
  { uses: [connecting], keys: ['connection', 'frames', 'badFrames'], args: ['prefix', 'id', 'isBad'] },
  /* lua */ `
local function count(key, seconds)
  local counted = redis.call('INCR', key)
  if counted == 1 then redis.call('EXPIRE', key, seconds) end
  return counted
end
local counted = count(frames, ${socketLimits.frames.seconds})
if isBad == '1' and count(badFrames, ${socketLimits.badFrames.seconds}) >= ${socketLimits.badFrames.count} then
  finish(prefix, connection, id, 'bad-frames')
  return 'too-many-bad'
end
return counted > ${socketLimits.frames.count} and 'too-many' or 'counted'
`,
  expecting<'counted' | 'too-many' | 'too-many-bad'>,
);

const barredOf = (reply: BarredReply): Barred =>
  reply[0] === 'gone' ? { kind: 'gone', reason: reply[1] } : { kind: reply[0] };

const positionsOf = (reply: readonly string[]): (CounterReference & { changeNumber: number })[] => {
  const positions = [];
  for (let i = 0; i < reply.length; i += 2)
    positions.push({ ...parseCounterReference(reply[i] ?? ''), changeNumber: Number(reply[i + 1]) });
  return positions;
};

/** Connections of the WebSocket API, with their users and subscriptions. Each call throws unavailable. */
export const createConnections = ({ client, keys }: { client: RedisClient; keys: Keys }) => {
  const { prefix, state } = keys;
  return {
    /** Counts a frame of a connection. 'too-many-bad' ends the connection. */
    countFrame: (
      id: string,
      { isBad }: { isBad: boolean },
    ): Promise<'counted' | 'too-many' | 'too-many-bad'> =>
      guarded(
        client,
        runScript(countFrame, {
          connection: keys.connection(id),
          frames: keys.frames('all', id),
          badFrames: keys.frames('bad', id),
          prefix,
          id,
          isBad: isBad ? '1' : '',
        }),
      ),

    /** 'full' ends the connection: its user has too many. */
    authenticate: async (
      id: string,
      holder: Holder,
    ): Promise<{ kind: 'authenticated' | 'ended' | 'another' | 'full' } | Barred> => {
      const reply = await guarded(
        client,
        runScript(authenticate, {
          state,
          generations: keys.generation(holder.id),
          connection: keys.connection(id),
          connections: keys.connections(holder.id),
          prefix,
          id,
          user: holder.id,
          generation: holder.generation,
          ends: holder.endsAtMs,
        }),
      );
      const [kind] = reply;
      return kind === 'gone' || kind === 'unknown' || kind === 'closed' ? barredOf(reply) : { kind };
    },

    /** Renews the leases of a connection. `positions` are those of its subscriptions. */
    ping: async (
      id: string,
    ): Promise<{ kind: 'alive'; positions: (CounterReference & { changeNumber: number })[] } | Barred> => {
      const reply = await guarded(
        client,
        runScript(ping, { state, connection: keys.connection(id), prefix, id }),
      );
      return reply[0] === 'alive' ? { kind: 'alive', positions: positionsOf(reply[1]) } : barredOf(reply);
    },

    /** Also if there is no such subscription. */
    unsubscribe: async (id: string, of: CounterReference): Promise<{ kind: 'unsubscribed' } | Barred> => {
      const reply = await guarded(
        client,
        runScript(unsubscribe, {
          state,
          connection: keys.connection(id),
          subscribers: keys.subscribers(of),
          prefix,
          id,
          reference: counterReference(of),
        }),
      );
      return reply[0] === 'unsubscribed' ? { kind: 'unsubscribed' } : barredOf(reply);
    },

    /** Removes connections that have ended from their users and subscriptions. */
    forget: async (ids: readonly string[]): Promise<void> => {
      if (ids.length === 0) return;
      await guarded(
        client,
        runScript(
          forgetConnections,
          { prefix },
          ids.map((id) => ({ connection: keys.connection(id), id })),
        ),
      );
    },

    /** Those of the connections that have not authenticated, and were not ended. */
    unauthenticatedAmong: async (ids: readonly string[]): Promise<string[]> => {
      if (ids.length === 0) return [];
      const found = await guarded(client, ({ redis }) =>
        Promise.all(ids.map((id) => redis.exists(keys.connection(id)))),
      );
      return ids.filter((_, i) => found[i] === 0);
    },
  };
};

export type Connections = ReturnType<typeof createConnections>;
