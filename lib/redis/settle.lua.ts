import { script } from './script.ts';
import { windowLua } from './window.lua.ts';

/*
 * After MySQL has committed (or a command was set aside): the outbox forgets the commands, and what was kept in Redis
 * because they were on the way goes. Every script may run again for the same commands.
 */

/** KEYS outbox, then for each application: application, pendingApplications or '' · ARGV for each: id, token */
export const settleApplications = script(/* lua */ `
for i = 1, #ARGV / 2 do
  local application, pendingApplications = KEYS[i * 2], KEYS[i * 2 + 1]
  local id, token = ARGV[i * 2 - 1], ARGV[i * 2]
  local wasOurs = redis.call('XDEL', KEYS[1], id .. '-0') == 1
  local version = redis.call('HGET', application, 'version')
  if version and wasOurs then
    if redis.call('HINCRBY', application, 'pending', -1) <= 0 then redis.call('EXPIRE', application, 3600) end
  elseif version and tonumber(version) < tonumber(id) then
    redis.call('DEL', application) -- another program's rename: MySQL knows better
  end
  redis.call('ZREM', pendingApplications, token)
end
return 'OK'
`);

/** KEYS outbox, then for each chat: pendingChats · ARGV for each: id, chatNumber */
export const settleChats = script(/* lua */ `
for i = 1, #ARGV / 2 do
  redis.call('XDEL', KEYS[1], ARGV[i * 2 - 1] .. '-0')
  redis.call('HDEL', KEYS[i + 1], ARGV[i * 2])
end
return 'OK'
`);

/**
 * KEYS state, outbox, indexOutbox, then for each message: windowOrder, windowEntries, pendingOrder, pendingIds
 * ARGV for each: id, number, createdAt in ms, reference in the index's outbox or '' when nothing was stored, version
 */
export const settleMessages = script(/* lua */ `
${windowLua}
local state, outbox, indexOutbox = KEYS[1], KEYS[2], KEYS[3]
for i = 0, #ARGV / 5 - 1 do
  local order, entries, pendingOrder, pendingIds = unpack(KEYS, i * 4 + 4, i * 4 + 7)
  local id, number, createdAt, reference, version = unpack(ARGV, i * 5 + 1, i * 5 + 5)
  if reference ~= '' then redis.call('ZADD', indexOutbox, 'GT', version, reference) end
  local wasOurs = redis.call('XDEL', outbox, id .. '-0') == 1
  if redis.call('HGET', pendingIds, number) == id then
    redis.call('HDEL', pendingIds, number)
    redis.call('ZREM', pendingOrder, member(number))
  end
  -- What was set aside will never be stored: a window that shows it would go on to.
  if reference == '' then dropWindow(order, entries) end
  -- A message that was not accepted here (another program's command) is one that the window has not heard of.
  if not wasOurs and reference ~= '' then
    local window, floor = windowState(state, order, entries)
    if window and redis.call('HEXISTS', entries, number) == 0
      and (window == 'building' or floor == '-' or isAbove(tonumber(createdAt), member(number), floor)) then
      dropWindow(order, entries)
    end
  end
end
return 'OK'
`);

/**
 * KEYS state, outbox, indexOutbox, then for each edit: windowOrder, windowEntries, pendingEdits
 * ARGV for each: id, number, reference in the index's outbox or '', version
 */
export const settleMessageUpdates = script(/* lua */ `
${windowLua}
local state, outbox, indexOutbox = KEYS[1], KEYS[2], KEYS[3]
for i = 0, #ARGV / 4 - 1 do
  local order, entries, pendingEdits = unpack(KEYS, i * 3 + 4, i * 3 + 6)
  local id, number, reference, version = unpack(ARGV, i * 4 + 1, i * 4 + 4)
  if reference ~= '' then redis.call('ZADD', indexOutbox, 'GT', version, reference) end
  redis.call('XDEL', outbox, id .. '-0')
  if redis.call('HGET', pendingEdits, number) == id then redis.call('HDEL', pendingEdits, number) end
  if reference == '' then dropWindow(order, entries) end
  -- The cache agrees with the row that was written, or goes: an edit that it has not heard of makes it stale.
  if reference ~= '' and windowState(state, order, entries) then
    local edit = redis.call('HGET', entries, 'u' .. number) or redis.call('HGET', entries, number)
    if (edit and cjson.decode(edit).commandId < tonumber(id)) or (not edit and windowState(state, order, entries) == 'building') then
      dropWindow(order, entries)
    end
  end
end
return 'OK'
`);

/** KEYS indexOutbox · ARGV for each message: reference, version that the index now has */
export const settleIndexed = script(/* lua */ `
for i = 1, #ARGV, 2 do
  local version = redis.call('ZSCORE', KEYS[1], ARGV[i])
  if version and tonumber(version) <= tonumber(ARGV[i + 1]) then redis.call('ZREM', KEYS[1], ARGV[i]) end
end
return 'OK'
`);

/** KEYS dirty set · ARGV for each: member, key of its counter, value that MySQL now has. */
export const settleCounts = script(/* lua */ `
for i = 1, #ARGV, 3 do
  local value = redis.call('GET', ARGV[i + 1])
  if not value or value == ARGV[i + 2] then redis.call('ZREM', KEYS[1], ARGV[i]) end
end
return 'OK'
`);
