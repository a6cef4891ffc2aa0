import { script } from './script.ts';
import { windowLua } from './window.lua.ts';

/*
 * Each script accepts one command, all or nothing. What may refuse comes first; the outbox entry is the first write
 * (it alone could fail, on an id that is not higher), and nothing after it can.
 * Answers: ['closed'] · ['missing'] · ['forbidden'] · ['unknown'] · ['accepted', number or token, command or ''].
 */

/** KEYS state, idempotency, counter, outbox, application, pendingApplications · ARGV command, token, seconds, name, creator */
export const acceptApplication = script(/* lua */ `
local state, idempotency, counter, outbox, application, pending = unpack(KEYS)
local command, token, seconds, name, creator = unpack(ARGV)
if not isOpen(state) then return refuse(state) end
local first = redis.call('GET', idempotency)
if first then return { 'accepted', first, '' } end
local id = nextId(state)
command = with(command, '"commandId":' .. id)
redis.call('XADD', outbox, id .. '-0', 'c', command)
redis.call('HSET', state, 'clock', id)
redis.call('SET', counter, 0)
redis.call('SET', idempotency, token, 'EX', seconds)
redis.call('HSET', application, 'name', name, 'creator', creator, 'version', id, 'pending', 1)
redis.call('ZADD', pending, id, token)
return { 'accepted', token, command }
`);

/** KEYS state, counter, outbox, application · ARGV command, name, caller, creator if known else '' */
export const acceptApplicationUpdate = script(/* lua */ `
local state, counter, outbox, application = unpack(KEYS)
local command, name, caller, creator = unpack(ARGV)
if not isOpen(state) then return refuse(state) end
if redis.call('EXISTS', counter) == 0 then return { 'missing' } end
creator = redis.call('HGET', application, 'creator') or creator
if creator == '' then return { 'unknown' } end
if creator ~= caller then return { 'forbidden' } end
local id = nextId(state)
command = with(command, '"commandId":' .. id)
redis.call('XADD', outbox, id .. '-0', 'c', command)
redis.call('HSET', state, 'clock', id)
redis.call('HSET', application, 'name', name, 'creator', creator, 'version', id)
redis.call('HINCRBY', application, 'pending', 1)
redis.call('PERSIST', application)
return { 'accepted', id, command }
`);

/** KEYS state, idempotency, counter, outbox, pendingChats, dirtyApplications · ARGV command, token, seconds, title */
export const acceptChat = script(/* lua */ `
local state, idempotency, counter, outbox, pending, dirty = unpack(KEYS)
local command, token, seconds, title = unpack(ARGV)
if not isOpen(state) then return refuse(state) end
local count = redis.call('GET', counter)
if not count then return { 'missing' } end
local first = redis.call('GET', idempotency)
if first then return { 'accepted', first, '' } end
local number = string.format('%d', count + 1)
local id = nextId(state)
command = with(command, '"chatNumber":' .. number .. ',"commandId":' .. id)
redis.call('XADD', outbox, id .. '-0', 'c', command)
redis.call('HSET', state, 'clock', id)
redis.call('SET', counter, number)
-- The key of the new chat's counter follows from its number: on a clustered server one hash tag holds them together.
redis.call('SET', counter .. ':' .. number, 0)
redis.call('SET', idempotency, number, 'EX', seconds)
redis.call('HSET', pending, number, title)
redis.call('ZADD', dirty, id, token)
return { 'accepted', number, command }
`);

/**
 * KEYS state, idempotency, counter, outbox, windowOrder, windowEntries, pendingOrder, pendingIds, dirtyChats
 * ARGV command, `token:chatNumber`, seconds, createdAt in ms
 */
export const acceptMessage = script(/* lua */ `
${windowLua}
local state, idempotency, counter, outbox, order, entries, pendingOrder, pendingIds, dirty = unpack(KEYS)
local command, chat, seconds, createdAt = unpack(ARGV)
if not isOpen(state) then return refuse(state) end
local count = redis.call('GET', counter)
if not count then return { 'missing' } end
local first = redis.call('GET', idempotency)
if first then return { 'accepted', first, '' } end
local number = string.format('%d', count + 1)
local id = nextId(state)
command = with(command, '"messageNumber":' .. number .. ',"commandId":' .. id)
redis.call('XADD', outbox, id .. '-0', 'c', command)
redis.call('HSET', state, 'clock', id)
redis.call('SET', counter, number)
redis.call('SET', idempotency, number, 'EX', seconds)
redis.call('ZADD', pendingOrder, createdAt, member(number))
redis.call('HSET', pendingIds, number, id)
redis.call('ZADD', dirty, id, chat)
local window, floor = windowState(state, order, entries)
if number == '1' then
  beginWindow(state, order, entries, '-')
  window, floor = 'complete', '-'
end
if window == 'building' or (window == 'complete' and (floor == '-' or isAbove(tonumber(createdAt), member(number), floor))) then
  addToWindow(order, entries, createdAt, number, command)
  trimWindow(order, entries)
  touchWindow(order, entries)
end
return { 'accepted', number, command }
`);

/**
 * KEYS state, counter, outbox, windowOrder, windowEntries, pendingIds, pendingEdits, outbox of create-message
 * ARGV command, messageNumber, caller, sender if known else ''
 */
export const acceptMessageUpdate = script(/* lua */ `
${windowLua}
local state, counter, outbox, order, entries, pendingIds, pendingEdits, creates = unpack(KEYS)
local command, number, caller, sender = unpack(ARGV)
if not isOpen(state) then return refuse(state) end
local count = redis.call('GET', counter)
if not count or tonumber(number) > tonumber(count) then return { 'missing' } end
local window = windowState(state, order, entries)
local entry = window and redis.call('HGET', entries, number)
if sender == '' then
  local message = entry
  if not message then
    local pendingId = redis.call('HGET', pendingIds, number)
    message = pendingId and fromOutbox(creates, pendingId)
  end
  if not message then return { 'unknown' } end
  sender = string.format('%d', cjson.decode(message).senderId)
end
if sender ~= caller then return { 'forbidden' } end
local id = nextId(state)
command = with(command, '"commandId":' .. id)
redis.call('XADD', outbox, id .. '-0', 'c', command)
redis.call('HSET', state, 'clock', id)
redis.call('HSET', pendingEdits, number, id)
-- While the window is being rebuilt the message may still be on its way in from MySQL: its edit waits for it.
if entry or window == 'building' then
  setEdit(entries, number, command)
  if entry then
    trimWindow(order, entries)
  elseif tonumber(redis.call('HGET', entries, 'bytes')) > MAX_BYTES then
    dropWindow(order, entries) -- edits of nothing it holds are all that trimming could not take out
  end
end
return { 'accepted', id, command }
`);
