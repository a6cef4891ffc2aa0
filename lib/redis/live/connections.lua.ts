import { socketLimits } from '#lib/domain/socket-limits.ts';
import { DELETED, numbers } from '../gate/gate.lua.ts';
import type { LuaModule } from '../script/script.ts';

/** The time for which a connection that the server ended is remembered, so that its next ping hears the reason. */
const REMEMBERED_MS = socketLimits.idleMs;

/**
 * Connections, in Lua. All keys have a lease, so nothing depends on the end of a connection being noticed. `connection` is a
 * hash with these fields:
 *
 * - `user`, `generation`, `ends`: of the access token; its end in milliseconds
 * - `until`: the end of the lease, at most `ends`; a ping renews it
 * - `+<token>` or `+<token>:<chatNumber>`: a subscription
 * - `closed`: alone; the reason for which the server ended the connection
 *
 * The keys of a user and of subscriptions follow from the hash, so that scripts build their names from `prefix`.
 */
export const connecting: LuaModule = {
  needs: [numbers],
  lua: /* lua */ `
local function nowMs() return math.floor(nowMicros() / 1000) end
local function subscribersOf(prefix, reference) return prefix .. 'subscribers::' .. reference end
local function connectionsOf(prefix, user) return prefix .. 'connections::' .. user end
local function watchedOf(prefix, reference) return prefix .. 'watched::' .. reference end
local function subscriptionsOf(connection)
  local references = {}
  for _, field in ipairs(redis.call('HKEYS', connection)) do
    if string.sub(field, 1, 1) == '+' then references[#references + 1] = string.sub(field, 2) end
  end
  return references
end
-- Lets a key live as long as its longest lease.
local function keepUntil(key, lease, now)
  if redis.call('PTTL', key) < lease - now then redis.call('PEXPIREAT', key, text(lease)) end
end
-- Removes a connection from its user and from all subscriptions.
local function forget(prefix, connection, id)
  local user = redis.call('HGET', connection, 'user')
  if user then
    redis.call('ZREM', connectionsOf(prefix, user), id)
    for _, reference in ipairs(subscriptionsOf(connection)) do
      redis.call('ZREM', subscribersOf(prefix, reference), id)
    end
  end
  redis.call('DEL', connection)
end
-- Ends a connection for a reason, which its next frame hears.
local function finish(prefix, connection, id, reason)
  forget(prefix, connection, id)
  redis.call('HSET', connection, 'closed', reason)
  redis.call('PEXPIRE', connection, ${REMEMBERED_MS})
  return { 'gone', reason }
end
-- Renews every lease of a connection.
local function renew(prefix, connection, id, ends, user, now)
  local lease = math.min(now + ${socketLimits.idleMs}, tonumber(ends))
  redis.call('HSET', connection, 'until', text(lease))
  redis.call('PEXPIREAT', connection, text(lease + ${REMEMBERED_MS}))
  local connections = connectionsOf(prefix, user)
  redis.call('ZADD', connections, text(lease), id)
  keepUntil(connections, lease, now)
  for _, reference in ipairs(subscriptionsOf(connection)) do
    local subscribers = subscribersOf(prefix, reference)
    redis.call('ZADD', subscribers, text(lease), id)
    keepUntil(subscribers, lease, now)
    keepUntil(watchedOf(prefix, reference), lease, now)
  end
  return lease
end
-- The state of an authenticated connection, or the reply for another one.
local function useOf(prefix, connection, id, now)
  local user, generation, ends, lease, closed =
    unpack(redis.call('HMGET', connection, 'user', 'generation', 'ends', 'until', 'closed'))
  if closed then return nil, { 'gone', closed } end
  if not user then return nil, { 'unknown' } end
  local present = redis.call('GET', prefix .. 'generation::' .. user)
  if present and tonumber(generation) < tonumber(present) then return nil, finish(prefix, connection, id, 'signed-out') end
  if tonumber(ends) <= now then return nil, finish(prefix, connection, id, 'token-expired') end
  if tonumber(lease) <= now then return nil, finish(prefix, connection, id, 'idle') end
  return { user = user, ends = ends }
end
-- Whether an application or a chat was deleted. Both counters are nil after a loss, which ends no subscription.
local function isSubscriptionOver(prefix, reference)
  local token = string.match(reference, '^[^:]+')
  return redis.call('GET', prefix .. reference) == '${DELETED}' or redis.call('GET', prefix .. token) == '${DELETED}'
end
`,
};
