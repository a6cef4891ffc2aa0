import type { LuaModule } from '../script/script.ts';

const DAY_SECONDS = 24 * 60 * 60;

/**
 * The read markers of a user in an application: the hash `read`, chat → `<number> <lost>`. A number from before the last
 * loss of data may be lower than the one in MySQL.
 */
export const markers: LuaModule = {
  lua: /* lua */ `
-- The highest message number that the user has read, and whether MySQL can have no higher one.
local function markerOf(read, chat, lost)
  local number, since = string.match(redis.call('HGET', read, chat) or '', '^(%d+) (%d+)$')
  return number, since == (lost or '0')
end
-- Keeps a marker for a day, and until the next sync notes that MySQL does not have it.
local function setMarker(read, chat, number, lost, dirtyMarkers, at, member)
  local isNew = redis.call('HSET', read, chat, number .. ' ' .. (lost or '0')) == 1
  local isChanged = redis.call('ZADD', dirtyMarkers, at, member) == 1
  if isNew or isChanged then redis.call('EXPIRE', read, ${DAY_SECONDS}) end
end
-- Keeps a marker that MySQL has.
local function keepMarker(read, chat, number, lost)
  redis.call('HSET', read, chat, number .. ' ' .. (lost or '0'))
  redis.call('EXPIRE', read, ${DAY_SECONDS})
end
`,
};
