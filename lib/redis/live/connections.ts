import { type ClosingReason, closingReasons } from '#lib/contracts/frames/server.ts';
import { NUMBER_STEP } from '#lib/domain/change.ts';
import {
  type ChatReference,
  type CounterReference,
  counterReference,
  parseCounterReference,
} from '#lib/domain/reference.ts';
import { socketLimits } from '#lib/domain/socket-limits.ts';
import type { RedisClient } from '../connection/client.ts';
import { guarded } from '../connection/guard.ts';
import { gate, marks } from '../gate/gate.lua.ts';
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

/**
 * Adds a subscription. The position that it answers is that of the moment at which it begins, because commands are numbered in scripts
 * as well: every later change is announced. Who subscribes first sets the position of the feed.
 */
const subscribe = defineScript(
  {
    uses: [gate, marks, connecting],
    keys: ['state', 'verified', 'counter', 'application', 'connection', 'watched'],
    args: ['server', 'prefix', 'id', 'reference', 'token'],
  },
  /* lua */ `
local epoch, clock, lost, verifying = readState(state, server)
if not epoch then return { 'closed' } end
local now = nowMs()
local holder, barred = useOf(prefix, connection, id, now)
if not holder then return barred end
local total, chats = unpack(redis.call('MGET', counter, application))
if isDeleted(total) or isDeleted(chats) then return { 'missing' } end
if not isVerified(verifying, verified, reference) or not isVerified(verifying, verified, token) then
  return { 'unverified', lost }
end
if not total or not chats then return { 'missing' } end
local field = '+' .. reference
if redis.call('HEXISTS', connection, field) == 0 and #subscriptionsOf(connection) >= ${socketLimits.subscriptions} then
  return { 'full' }
end
local position = tonumber(clock or '0')
position = text(position - position % ${NUMBER_STEP})
redis.call('HSET', connection, field, '1')
redis.call('SET', watched, position, 'NX', 'PX', ${socketLimits.idleMs})
renew(prefix, connection, id, holder.ends, holder.user, now)
return { 'subscribed', position }
`,
  expecting<
    ['subscribed', position: string] | ['unverified', lost: string] | ['missing' | 'full'] | BarredReply
  >,
);

/** Most connections with an ended lease that one call removes from a feed. */
const TRIMMED = 100;

/** The connections that subscribe to feeds. Those whose lease has ended are removed, with the reason. */
const readSubscribers = defineScript(
  { uses: [connecting], args: ['prefix'], each: { keys: ['subscribers'] } },
  {
    before: 'local now = text(nowMs())',
    each: /* lua */ `
  local ended = {}
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', subscribers, '-inf', now, 'LIMIT', 0, ${TRIMMED})) do
    local connection = prefix .. 'connection::' .. id
    local ends = redis.call('HGET', connection, 'ends')
    redis.call('ZREM', subscribers, id)
    if ends then
      local reason = tonumber(ends) <= tonumber(now) and 'token-expired' or 'idle'
      finish(prefix, connection, id, reason)
      ended[#ended + 1] = id
      ended[#ended + 1] = reason
    end
  end
  return { redis.call('ZRANGEBYSCORE', subscribers, '(' .. now, '+inf'), ended }
`,
  },
  expecting<[ids: string[], ended: string[]][]>,
);

/** The connections of a user that subscribe to a chat or its application. */
const readReaders = defineScript(
  { uses: [connecting], keys: ['connections'], args: ['prefix', 'chat', 'token'] },
  /* lua */ `
local found = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', connections, '(' .. text(nowMs()), '+inf')) do
  local chatOf, tokenOf = unpack(redis.call('HMGET', prefix .. 'connection::' .. id, '+' .. chat, '+' .. token))
  if chatOf or tokenOf then found[#found + 1] = id end
end
return found
`,
  expecting<string[]>,
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

/** Connections of the WebSocket API, with their holders and subscriptions. Each call throws unavailable. */
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

    /** 'unverified': the counters of the chat and its application must be verified first, for the epoch `lost`. */
    subscribe: async (
      id: string,
      of: CounterReference,
    ): Promise<
      | { kind: 'subscribed'; changeNumber: number }
      | { kind: 'unverified'; lost: string }
      | { kind: 'missing' | 'full' }
      | Barred
    > => {
      const reply = await guarded(
        client,
        runScript(subscribe, {
          state,
          verified: keys.verified,
          counter: keys.counter(of),
          application: keys.applicationCounter(of.token),
          connection: keys.connection(id),
          watched: keys.watched(of),
          prefix,
          id,
          reference: counterReference(of),
          token: of.token,
        }),
      );
      switch (reply[0]) {
        case 'subscribed':
          return { kind: 'subscribed', changeNumber: Number(reply[1]) };
        case 'unverified':
          return { kind: 'unverified', lost: reply[1] };
        case 'missing':
        case 'full':
          return { kind: reply[0] };
        default:
          return barredOf(reply);
      }
    },

    /** The connections that subscribe to feeds, by their order. `ended`: connections that have ended by now, and why. */
    subscribers: async (
      feeds: readonly CounterReference[],
    ): Promise<{ ids: string[]; ended: { id: string; reason: ClosingReason }[] }[]> => {
      if (feeds.length === 0) return [];
      const found = await guarded(
        client,
        runScript(
          readSubscribers,
          { prefix },
          feeds.map((of) => ({ subscribers: keys.subscribers(of) })),
        ),
      );
      return found.map(([ids, ended]) => ({
        ids,
        ended: ended.flatMap((id, i) => {
          const reason = closingReasons.find((one) => one === ended[i + 1]);
          return i % 2 === 1 || reason === undefined ? [] : [{ id, reason }];
        }),
      }));
    },

    /** The connections of a user that subscribe to a chat or its application. */
    readers: (userId: number, { token, chatNumber }: ChatReference): Promise<string[]> =>
      guarded(
        client,
        runScript(readReaders, {
          connections: keys.connections(userId),
          prefix,
          chat: counterReference({ token, chatNumber }),
          token,
        }),
      ),

    /** Ends all subscriptions to feeds of deleted items. */
    endFeeds: async (feeds: readonly CounterReference[]): Promise<void> => {
      if (feeds.length === 0) return;
      await guarded(client, ({ redis }) => redis.unlink(...feeds.map((of) => keys.subscribers(of))));
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
