import { script } from './script.ts';
import { windowLua } from './window.lua.ts';

/** The most that a page takes of what is on the way: messages of its own, and edits of any. */
const MAX_PENDING = 1_000;

/** What is listed as on the way and is not in the outbox (an operator removed it there) is forgotten when it is met. */
const pendingLua = /* lua */ `
local function pendingMessages(pendingOrder, pendingIds, creates, members)
  local messages, gone = {}, 0
  for _, m in ipairs(members) do
    local number = string.format('%d', tonumber(m))
    local id = redis.call('HGET', pendingIds, number)
    local message = id and fromOutbox(creates, id)
    if message then
      messages[#messages + 1] = message
    else
      redis.call('ZREM', pendingOrder, m)
      redis.call('HDEL', pendingIds, number)
      gone = gone + 1
    end
  end
  return messages, gone
end
`;

/**
 * A page of a chat, as far as Redis knows it.
 * KEYS state, counter, windowOrder, windowEntries, pendingOrder, pendingIds, pendingEdits, outbox of create-message
 * ARGV cursor: createdAt in ms and padded number ('' '' for the newest), skip, count
 * Answers ['missing'] · ['window', [message, edit or '', …]] · ['partial' or 'closed', [pending message, …],
 * [number, id of its newest pending edit, …] or false when there are too many, state of the window] · ['deep'] when
 * the page lies below more pending messages than it may take.
 */
export const readPage = script(/* lua */ `
${windowLua}
${pendingLua}
local state, counter, order, entries, pendingOrder, pendingIds, pendingEdits, creates = unpack(KEYS)
local score, mark, skip, count = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local open = isOpen(state)
local total = redis.call('GET', counter)
if open and not total then return { 'missing' } end
if open and total == '0' then return { 'window', {} } end

-- Members of a sorted set below the cursor, newest first.
local function below(key, wanted)
  if score == '' then return redis.call('ZREVRANGE', key, 0, wanted - 1) end
  local ties = redis.call('ZCOUNT', key, score, score)
  local found = redis.call('ZREVRANGEBYSCORE', key, score, '-inf', 'WITHSCORES', 'LIMIT', 0, wanted + ties)
  local members = {}
  for i = 1, #found, 2 do
    if #members < wanted and not (tonumber(found[i + 1]) == tonumber(score) and found[i] >= mark) then
      members[#members + 1] = found[i]
    end
  end
  return members
end

local window, floor
if open then window, floor = windowState(state, order, entries) end
if window == 'complete' then
  local members = below(order, skip + count)
  if floor == '-' or #members == skip + count then
    local page = {}
    for i = skip + 1, #members do
      local number = string.format('%d', tonumber(members[i]))
      page[#page + 1] = redis.call('HGET', entries, number)
      page[#page + 1] = redis.call('HGET', entries, 'u' .. number) or ''
    end
    touchWindow(order, entries)
    return { 'window', page }
  end
end

local pending, gone
repeat
  local members = below(pendingOrder, math.min(skip + count, ${MAX_PENDING} + 1))
  if #members > ${MAX_PENDING} then return { 'deep' } end
  pending, gone = pendingMessages(pendingOrder, pendingIds, creates, members)
until gone == 0
local edits = redis.call('HLEN', pendingEdits) <= ${MAX_PENDING} and redis.call('HGETALL', pendingEdits)
return { open and 'partial' or 'closed', pending, edits, window or 'none' }
`);

/**
 * One message, as far as Redis knows it.
 * KEYS state, counter, windowOrder, windowEntries, pendingIds, pendingEdits, outboxes of create- and update-message
 * ARGV number. Answers ['missing'] · ['known' or 'closed', message or '', edit or ''].
 */
export const readMessage = script(/* lua */ `
${windowLua}
local state, counter, order, entries, pendingIds, pendingEdits, creates, updates = unpack(KEYS)
local number = ARGV[1]
local open = isOpen(state)
local message, edit
if open then
  local total = redis.call('GET', counter)
  if not total or tonumber(number) > tonumber(total) then return { 'missing' } end
  if windowState(state, order, entries) then
    message = redis.call('HGET', entries, number)
    edit = redis.call('HGET', entries, 'u' .. number)
  end
end
if not message then
  local id = redis.call('HGET', pendingIds, number)
  message = id and fromOutbox(creates, id)
end
if not edit then
  local id = redis.call('HGET', pendingEdits, number)
  edit = id and fromOutbox(updates, id)
end
return { open and 'known' or 'closed', message or '', edit or '' }
`);

/**
 * Begins a window: what is on the way goes in at once; what MySQL has is brought by the one reader that got 'begun'.
 * KEYS state, windowOrder, windowEntries, pendingOrder, pendingIds, pendingEdits, outboxes of create- and update-message
 * ARGV builder
 */
export const beginWindowRebuild = script(/* lua */ `
${windowLua}
${pendingLua}
local state, order, entries, pendingOrder, pendingIds, pendingEdits, creates, updates = unpack(KEYS)
if not isOpen(state) then return 'no' end
local nowMs = math.floor(nowMicros() / 1000)
local window = windowState(state, order, entries)
if window == 'complete' then return 'no' end
if window == 'building' and nowMs - tonumber(redis.call('HGET', entries, 'begun')) < 10000 then return 'no' end
if redis.call('HLEN', pendingEdits) > ${MAX_PENDING} then return 'no' end
-- First a write that a server at its maxmemory refuses: with a removal first it would take all that follows.
redis.call('HSET', entries, 'begun', 0)
beginWindow(state, order, entries)
redis.call('HSET', entries, 'builder', ARGV[1], 'begun', string.format('%.0f', nowMs))
-- One more than a window holds: trimming then knows that there is more below.
local members, pending, gone
repeat
  members = redis.call('ZREVRANGE', pendingOrder, 0, MAX_ENTRIES)
  pending, gone = pendingMessages(pendingOrder, pendingIds, creates, members)
until gone == 0
for i, message in ipairs(pending) do
  local number = string.format('%d', tonumber(members[i]))
  addToWindow(order, entries, redis.call('ZSCORE', pendingOrder, members[i]), number, message)
end
local edits = redis.call('HGETALL', pendingEdits)
for i = 1, #edits, 2 do
  local edit = fromOutbox(updates, edits[i + 1])
  if edit then setEdit(entries, edits[i], edit) end
end
trimWindow(order, entries)
touchWindow(order, entries)
return 'begun'
`);

/**
 * Completes a window with MySQL's newest rows, read after it was begun.
 * KEYS state, windowOrder, windowEntries · ARGV builder, floor ('-' when these are all rows, else the last row's place,
 * which then is left out), then for each row createdAt in ms, number, version, message
 */
export const finishWindowRebuild = script(/* lua */ `
${windowLua}
local state, order, entries = unpack(KEYS)
if windowState(state, order, entries) ~= 'building' then return 'no' end
if redis.call('HGET', entries, 'builder') ~= ARGV[1] then return 'no' end
for i = 3, #ARGV, 4 do
  local score, number, version, message = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
  local known = redis.call('HGET', entries, number)
  if not known then
    addToWindow(order, entries, score, number, message)
  elseif cjson.decode(known).commandId < tonumber(version) then
    redis.call('HINCRBY', entries, 'bytes', #message - #known)
    redis.call('HSET', entries, number, message)
  end
end
local floor = ARGV[2]
local trimmed = redis.call('HGET', entries, 'trimmed')
if trimmed then
  local score, m = string.match(trimmed, '^([^:]+):(.+)$')
  if floor == '-' or isAbove(tonumber(score), m, floor) then floor = trimmed end
end
if floor ~= '-' then
  local held = redis.call('ZRANGE', order, 0, -1, 'WITHSCORES')
  for i = 1, #held, 2 do
    if not isAbove(tonumber(held[i + 1]), held[i], floor) then
      local number = string.format('%d', tonumber(held[i]))
      redis.call('HINCRBY', entries, 'bytes', -redis.call('HSTRLEN', entries, number))
      redis.call('HDEL', entries, number)
      redis.call('ZREM', order, held[i])
    end
  end
end
for _, field in ipairs(redis.call('HKEYS', entries)) do
  local number = string.match(field, '^u(%d+)$')
  if number and redis.call('HEXISTS', entries, number) == 0 then
    redis.call('HINCRBY', entries, 'bytes', -redis.call('HSTRLEN', entries, field))
    redis.call('HDEL', entries, field)
  end
end
redis.call('HDEL', entries, 'builder', 'begun', 'trimmed')
redis.call('HSET', entries, 'floor', floor)
trimWindow(order, entries)
touchWindow(order, entries)
return 'finished'
`);
