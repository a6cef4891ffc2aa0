import { windowLimits } from '#lib/domain/limits.ts';
import { numbers } from '../gate/gate.lua.ts';
import type { LuaModule } from '../script/script.ts';

/**
 * Counting is expensive, so it runs once per this many messages. A window may exceed its limit by as many.
 */
const COUNT_EVERY = 16;

/**
 * The newest-messages window of a chat, in Lua, for the scripts that accept, read and settle.
 *
 * `order` is a sorted set: the score is `createdAt` in ms, the member is the message's number. It is padded to 10
 * digits, so that equal scores sort by number. `entries` is a hash with these fields:
 *
 * - `<number>`: the message, as the command that created it (JSON)
 * - `u<number>`: its newest edit, as the command (JSON)
 * - `epoch`: the state's `lost` when the window was created; a loss ends all windows at once
 * - `floor`: the window holds everything above this place (`score:member`). '-' means the whole chat, '+' that one
 *   reader is adding MySQL's rows.
 * - `builder`: that reader
 * - `bytes`: the size of all entries
 *
 * `entries` expires first. Without it there is no window, even if `order` exists.
 */
export const window: LuaModule = {
  needs: [numbers],
  lua: /* lua */ `
local MAX_ENTRIES, MAX_BYTES = ${windowLimits.entries}, ${windowLimits.bytes}
local function member(number) return string.format('%010d', number) end
-- The score and the member of a floor. Every message is above '-', and none above '+'.
local function placeOf(floor)
  if floor == '-' then return -math.huge, '' end
  if not floor or floor == '+' then return math.huge, '' end
  local score, m = string.match(floor, '^([^:]+):(.+)$')
  return tonumber(score), m
end
local function isBeyond(score, m, floorScore, floorMember)
  return score > floorScore or (score == floorScore and m > floorMember)
end
local function isAbove(score, m, floor) return isBeyond(score, m, placeOf(floor)) end
local function dropWindow(order, entries)
  redis.call('DEL', order, entries)
end
-- The floor and the bytes of the window; nothing without a window from after the last loss.
local function windowOf(lost, entries)
  local epoch, floor, bytes = unpack(redis.call('HMGET', entries, 'epoch', 'floor', 'bytes'))
  if not epoch or epoch ~= (lost or '0') then return nil end
  return floor, tonumber(bytes)
end
local function touchWindow(order, entries)
  redis.call('EXPIRE', entries, ${windowLimits.idleSeconds})
  redis.call('EXPIRE', order, ${windowLimits.idleSeconds + 60})
end
-- Removes the lowest entries; returns the remaining bytes and the highest removed place.
local function takeLowest(order, entries, bytes, count)
  local lowest, fields = redis.call('ZPOPMIN', order, count), {}
  for i = 1, #lowest, 2 do
    local field = text(tonumber(lowest[i]))
    fields[#fields + 1] = field
    fields[#fields + 1] = 'u' .. field
  end
  for _, value in ipairs(redis.call('HMGET', entries, unpack(fields))) do
    if value then bytes = bytes - #value end
  end
  redis.call('HDEL', entries, unpack(fields))
  return bytes, lowest[#lowest] .. ':' .. lowest[#lowest - 1]
end
local function trimWindow(order, entries, bytes)
  local count, floor = redis.call('ZCARD', order), nil
  while count > 1 and (count > MAX_ENTRIES or bytes > MAX_BYTES) do
    local surplus = math.max(1, count - MAX_ENTRIES)
    bytes, floor = takeLowest(order, entries, bytes, surplus)
    count = count - surplus
  end
  if floor then redis.call('HSET', entries, 'floor', floor, 'bytes', bytes) end
end
-- Adds those of the new messages that are above the window's floor. The first message of a chat begins its window.
local function addToWindow(order, entries, lost, messages)
  local floor, bytes = windowOf(lost, entries)
  local isFirst = messages[1].number == '1'
  if isFirst then
    dropWindow(order, entries)
    redis.call('HSET', entries, 'epoch', lost or '0', 'floor', '-')
    floor, bytes = '-', 0
  end
  if not floor then return end
  local floorScore, floorMember = placeOf(floor)
  local places, fields, isCounted = {}, {}, false
  for _, message in ipairs(messages) do
    local score, n = tonumber(message.createdAtMs), #places
    if isBeyond(score, message.member, floorScore, floorMember) then
      places[n + 1], places[n + 2] = message.createdAtMs, message.member
      fields[n + 1], fields[n + 2] = message.number, message.command
      bytes = bytes + #message.command
      isCounted = isCounted or message.number % ${COUNT_EVERY} == 0
    end
  end
  if #places == 0 then return end
  redis.call('ZADD', order, unpack(places))
  redis.call('HSET', entries, 'bytes', text(bytes), unpack(fields))
  if isFirst then touchWindow(order, entries) end
  if isCounted or bytes > MAX_BYTES then trimWindow(order, entries, bytes) end
end
local function setEdit(order, entries, bytes, number, json)
  local field = 'u' .. number
  bytes = bytes + #json - redis.call('HSTRLEN', entries, field)
  redis.call('HSET', entries, field, json, 'bytes', bytes)
  if bytes > MAX_BYTES then trimWindow(order, entries, bytes) end
end
-- Puts a row in the place of a message and its edit, if the window has the message.
local function replaceEntry(entries, number, json)
  local size = redis.call('HSTRLEN', entries, number)
  if size == 0 then return end
  local edit = 'u' .. number
  redis.call('HINCRBY', entries, 'bytes', #json - size - redis.call('HSTRLEN', entries, edit))
  redis.call('HSET', entries, number, json)
  redis.call('HDEL', entries, edit)
end
-- The version of a message that the window shows.
local function shownVersion(entries, number, entry)
  local version = cjson.decode(entry).commandId
  local edit = redis.call('HGET', entries, 'u' .. number)
  return text(edit and math.max(version, cjson.decode(edit).commandId) or version)
end
-- Whether the window shows this edit or a newer one, or does not contain the message.
local function isShown(entries, floor, number, id)
  if floor == '+' then return false end
  local entry = redis.call('HGET', entries, number)
  return not entry or tonumber(shownVersion(entries, number, entry)) >= tonumber(id)
end
`,
};
