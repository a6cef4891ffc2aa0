import { script } from './script.ts';
import { windowLua } from './window.lua.ts';

/*
 * After MySQL has committed (or a command was set aside): the outbox forgets the commands, and what was kept in Redis
 * because they were on the way goes. Every script may run again for the same commands. Each begins with a removal:
 * a server at its `maxmemory` refuses a script whose first write adds, and what frees memory must not be refused.
 */

/**
 * What is stored is counted: a command that another program numbered, or one redriven after its counter was lost, must
 * not meet its number given a second time.
 */
const followLua = /* lua */ `
local function follow(counter, number, dirty, member)
  if tonumber(redis.call('GET', counter) or '-1') >= tonumber(number) then return end
  redis.call('SET', counter, number)
  if dirty then redis.call('ZADD', dirty, string.format('%.0f', nowMicros()), member) end
end
`;

/**
 * KEYS outbox, then for each application: application, pendingApplications, counter
 * ARGV for each: id, token, '1' when it is stored or '' when it was set aside
 */
export const settleApplications = script(/* lua */ `
${followLua}
for i = 0, #ARGV / 3 - 1 do
  local application, pendingApplications, counter = unpack(KEYS, i * 3 + 2, i * 3 + 4)
  local id, token, stored = unpack(ARGV, i * 3 + 1, i * 3 + 3)
  local wasOurs = redis.call('XDEL', KEYS[1], id .. '-0') == 1
  if stored ~= '' then follow(counter, '0') end
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

/**
 * KEYS outbox, dirtyApplications, then for each chat: pendingChats, the application's counter, the chat's counter
 * ARGV for each: id, chatNumber, token, '1' when it is stored or '' when it was set aside
 */
export const settleChats = script(/* lua */ `
${followLua}
for i = 0, #ARGV / 4 - 1 do
  local pending, counter, messages = unpack(KEYS, i * 3 + 3, i * 3 + 5)
  local id, number, token, stored = unpack(ARGV, i * 4 + 1, i * 4 + 4)
  redis.call('XDEL', KEYS[1], id .. '-0')
  redis.call('HDEL', pending, number)
  -- What was set aside may have no parent: a counter would say that it has.
  if stored ~= '' then
    follow(counter, number, KEYS[2], token)
    follow(messages, '0')
  end
end
return 'OK'
`);

/**
 * KEYS state, outbox, indexOutbox, dirtyChats, then for each message: windowOrder, windowEntries, pendingOrder,
 * pendingIds, counter
 * ARGV for each: id, number, createdAt in ms, reference in the index's outbox or '' when nothing was stored, version,
 * `token:chatNumber`
 */
export const settleMessages = script(/* lua */ `
${windowLua}
${followLua}
local state, outbox, indexOutbox, dirty = unpack(KEYS, 1, 4)
for i = 0, #ARGV / 6 - 1 do
  local order, entries, pendingOrder, pendingIds, counter = unpack(KEYS, i * 5 + 5, i * 5 + 9)
  local id, number, createdAt, reference, version, chat = unpack(ARGV, i * 6 + 1, i * 6 + 6)
  local wasOurs = redis.call('XDEL', outbox, id .. '-0') == 1
  if reference ~= '' then
    redis.call('ZADD', indexOutbox, 'GT', version, reference)
    follow(counter, number, dirty, chat)
  end
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
 * KEYS state, outbox, indexOutbox, then for each edit: windowOrder, windowEntries, pendingOrder, pendingIds, pendingEdits
 * ARGV for each: id, number, reference in the index's outbox or '', version
 */
export const settleMessageUpdates = script(/* lua */ `
${windowLua}
local state, outbox, indexOutbox = KEYS[1], KEYS[2], KEYS[3]
for i = 0, #ARGV / 4 - 1 do
  local order, entries, pendingOrder, pendingIds, pendingEdits = unpack(KEYS, i * 5 + 4, i * 5 + 8)
  local id, number, reference, version = unpack(ARGV, i * 4 + 1, i * 4 + 4)
  redis.call('XDEL', outbox, id .. '-0')
  if reference ~= '' then
    redis.call('ZADD', indexOutbox, 'GT', version, reference)
    -- The message is stored, though its own settling may be late: shown as it was accepted, it would hide this edit.
    redis.call('HDEL', pendingIds, number)
    redis.call('ZREM', pendingOrder, member(number))
  end
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

/*
 * What the way out has to note. These begin with a removal as well: a function that could not note something would not
 * let out what it has stored.
 */

/** KEYS key · ARGV seconds: notes something for a time. */
export const note = script(/* lua */ `
redis.call('DEL', KEYS[1])
redis.call('SET', KEYS[1], '1', 'EX', ARGV[1])
return 'OK'
`);

/** KEYS hash · ARGV field, value */
export const noteField = script(/* lua */ `
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
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
