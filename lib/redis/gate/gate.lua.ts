import { limits } from '#lib/domain/limits.ts';
import type { LuaModule } from '../script/script.ts';

/** Numbers as Redis keeps them, and the server's time. */
export const numbers: LuaModule = {
  lua: /* lua */ `
local function text(number) return string.format('%d', number) end
local function nowMicros()
  local t = redis.call('TIME')
  return t[1] * 1000000 + t[2]
end
`,
};

/**
 * The gate before numbering, in Lua, for scripts that take the key `state` and the argument `server`.
 *
 * `server` identifies one run of one server, as read on the socket of the script. `state` is a hash with these fields:
 *
 * - `run:<server>`: the epoch in which that run may assign numbers; absent while the gate is closed
 * - `clock`: the last assigned command id or change number, in microseconds
 * - `late`: the last change number that was issued while the gate was closed; see changes.lua.ts
 * - `opened`: the clock after the last opening
 * - `lost`: the epoch whose opening found that Redis had lost data. Windows and names from before it are void.
 * - `behind`: the clock after that opening. MySQL may have newer versions of messages that commands up to it wrote.
 * - `verifying`: the same epoch, while counters are still being compared with MySQL
 * - `progress`: the progress of that comparison (JSON)
 * - `attempt`, `attempt-at`: the running recovery, and its last sign of life in microseconds
 */
export const gate: LuaModule = {
  needs: [numbers],
  lua: /* lua */ `
-- The state as this run of the server may use it. Without an epoch the gate is closed.
local function readState(state, server)
  return unpack(redis.call('HMGET', state, 'run:' .. server, 'clock', 'lost', 'verifying', 'behind', 'progress', 'late', 'opened'))
end
-- The last loss. Windows and names from before it are void.
local function lossOf(state) return redis.call('HGET', state, 'lost') or '0' end
-- Whether the last id is more than a day ahead. Consumers refuse such ids, so none may be given.
local function isAhead(clock)
  return tonumber(clock or '0') > nowMicros() + ${(limits.futureMs + limits.skewMs) * 1000}
end
-- Whether a counter may be used. While counters are being verified, only verified ones may.
local function isVerified(verifying, verified, member)
  return not verifying or redis.call('SISMEMBER', verified, member) == 1
end
`,
};

export const DELETED = 'deleted';
/** The time of a mark once MySQL has the deletion, whose `deleted_at` decides after that. */
const MARK_SECONDS = 24 * 60 * 60;

/**
 * Whether an application or chat exists. The counter of a deleted one keeps a mark: without its key, the settling of a
 * pending creation would make the counter again. While MySQL does not have the deletion, the mark does not expire.
 */
export const marks: LuaModule = {
  lua: /* lua */ `
local function isDeleted(count) return count == '${DELETED}' end
local function exists(count) return count and count ~= '${DELETED}' end
local function markDeleted(counter, dirty, member)
  redis.call('SET', counter, '${DELETED}')
  redis.call('ZREM', dirty, member)
end
-- The mark of a deletion that MySQL has.
local function markStored(counter, dirty, member)
  markDeleted(counter, dirty, member)
  redis.call('EXPIRE', counter, ${MARK_SECONDS})
end
`,
};

/** The commands that MySQL does not have yet: streams, in which a command has its own id. */
export const outbox: LuaModule = {
  lua: /* lua */ `
local function fromOutbox(outbox, id)
  local found = redis.call('XRANGE', outbox, id .. '-0', id .. '-0')
  return found[1] and found[1][2][2]
end
-- Whether an edit is a deletion. Within a text of JSON, a quotation mark follows a backslash.
local function isDeletion(edit) return edit and string.find(edit, '"deleted":true', 1, true) ~= nil end
-- Whether the outbox has this command: the same id, and the same text by its SHA-1. Commands of other programs come
-- without a digest, because they are never in the outbox.
local function isInOutbox(outbox, id, digest)
  local command = digest ~= '' and fromOutbox(outbox, id)
  return command and redis.sha1hex(command) == digest
end
`,
};

/**
 * Raises a counter to a stored number, so that a number of another program or of a redriven command is never
 * given twice. A deleted counter stays deleted.
 */
export const raising: LuaModule = {
  needs: [numbers, marks],
  lua: /* lua */ `
local function raise(counter, number, dirty, member)
  local count = redis.call('GET', counter)
  if isDeleted(count) or tonumber(count or '-1') >= tonumber(number) then return end
  redis.call('SET', counter, number)
  if dirty then redis.call('ZADD', dirty, text(nowMicros()), member) end
end
`,
};
