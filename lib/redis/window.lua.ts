/** What a chat's window holds at most. */
export const windowLimits = { entries: 300, bytes: 256 * 1024, idleSeconds: 24 * 60 * 60 } as const;

/**
 * The newest-messages window of a chat, in Lua, for the scripts that accept, read and settle.
 *
 * `order`: sorted set, score `createdAt` in ms, member the message's number padded to 10 digits, so that equal scores
 * sort by number. `entries`: hash of
 *   `<number>`  the message, as the command that created it (JSON)
 *   `u<number>` its newest edit, as the command (JSON)
 *   `epoch`     of the state in which the window was begun: a recovery ends all windows at once
 *   `floor`     '-' when the window holds the whole chat, else the place (`score:member`) above which it holds
 *               everything; absent while one reader rebuilds it
 *   `builder`   that reader, and `begun` when it started (ms)
 *   `trimmed`   the highest place that was pushed out while it is being rebuilt
 *   `bytes`     of all entries
 */
export const windowLua = /* lua */ `
local MAX_ENTRIES, MAX_BYTES, WINDOW_SECONDS = ${windowLimits.entries}, ${windowLimits.bytes}, ${windowLimits.idleSeconds}
local function member(number) return string.format('%010d', number) end
local function isAbove(score, m, floor)
  local floorScore, floorMember = string.match(floor, '^([^:]+):(.+)$')
  floorScore = tonumber(floorScore)
  return score > floorScore or (score == floorScore and m > floorMember)
end
local function dropWindow(order, entries)
  redis.call('DEL', order, entries)
end
-- 'complete' (to its floor), 'building', or false; a window of an earlier epoch, or one that lost its order, is ended.
local function windowState(state, order, entries)
  local found = redis.call('HMGET', entries, 'epoch', 'floor')
  if not found[1] then return false end
  if found[1] ~= redis.call('HGET', state, 'epoch') then return false end
  if found[2] and redis.call('EXISTS', order) == 0 then return false end
  return found[2] and 'complete' or 'building', found[2]
end
local function beginWindow(state, order, entries, floor)
  dropWindow(order, entries)
  redis.call('HSET', entries, 'epoch', redis.call('HGET', state, 'epoch'), 'bytes', 0)
  if floor then redis.call('HSET', entries, 'floor', floor) end
end
local function touchWindow(order, entries)
  redis.call('EXPIRE', order, WINDOW_SECONDS)
  redis.call('EXPIRE', entries, WINDOW_SECONDS)
end
local function trimWindow(order, entries)
  local bytes = tonumber(redis.call('HGET', entries, 'bytes') or '0')
  local count = redis.call('ZCARD', order)
  while count > 1 and (count > MAX_ENTRIES or bytes > MAX_BYTES) do
    local lowest = redis.call('ZRANGE', order, 0, 0, 'WITHSCORES')
    local field = string.format('%d', tonumber(lowest[1]))
    bytes = bytes - redis.call('HSTRLEN', entries, field) - redis.call('HSTRLEN', entries, 'u' .. field)
    redis.call('HDEL', entries, field, 'u' .. field)
    redis.call('ZREM', order, lowest[1])
    local place = lowest[2] .. ':' .. lowest[1]
    if redis.call('HEXISTS', entries, 'floor') == 1 then
      redis.call('HSET', entries, 'floor', place)
    else
      local trimmed = redis.call('HGET', entries, 'trimmed')
      if not trimmed or isAbove(tonumber(lowest[2]), lowest[1], trimmed) then
        redis.call('HSET', entries, 'trimmed', place)
      end
    end
    count = count - 1
  end
  redis.call('HSET', entries, 'bytes', bytes)
end
local function addToWindow(order, entries, score, number, json)
  redis.call('ZADD', order, score, member(number))
  redis.call('HSET', entries, number, json)
  redis.call('HINCRBY', entries, 'bytes', #json)
end
local function setEdit(entries, number, json)
  local field = 'u' .. number
  redis.call('HINCRBY', entries, 'bytes', #json - redis.call('HSTRLEN', entries, field))
  redis.call('HSET', entries, field, json)
end
`;
