import { NUMBER_STEP, type NumberedChange } from '#lib/domain/change.ts';
import { numbers } from '../gate/gate.lua.ts';
import type { LuaModule } from '../script/script.ts';

/**
 * The pending changes of an application, in Lua: a sorted set by change number. A member is the changed item and the command
 * (`<type>:<chatNumber>:<messageNumber>:<commandId>`), so two edits of one message are two members. The command of another
 * program has `:other` behind its id, which may be one of ours.
 *
 * A change is pending until MySQL has its row. A key `watched` exists while somebody watches a feed: it is the newest
 * change number there.
 */
export const watching: LuaModule = {
  lua: /* lua */ `
-- The change before a new one. After an opening it is that opening, because the crash may have lost frames.
local function changeBefore(watched, opened)
  if not watched then return '' end
  return tonumber(opened or '0') > tonumber(watched) and opened or watched
end
`,
};

/**
 * Issues fresh numbers, for stored commands that are not pending: positions above their ids may have been handed out. While
 * the gate is closed they come from `late`. A moved clock would then hide a loss, and a refusal would block the barriers of
 * the recovery.
 */
export const issuing: LuaModule = {
  needs: [numbers, watching],
  lua: /* lua */ `
-- Returns a function that adds a member under a fresh number. That returns the number and the changes before it.
local function issuer(state, epoch, clock, late, opened)
  local latest = math.max(tonumber(clock or '0'), tonumber(late or '0'))
  return function(changes, watched, member)
    latest = math.max(nowMicros() - 1, latest)
    latest = latest - latest % ${NUMBER_STEP} + ${NUMBER_STEP}
    local number = text(latest)
    -- First, so that an error in between leaves a gap and no number twice.
    redis.call('HSET', state, epoch and 'clock' or 'late', number)
    redis.call('ZADD', changes, number, member)
    local watchedChat = watched .. ':' .. string.match(member, '^[^:]+:(%d+):')
    local before, chatBefore = unpack(redis.call('MGET', watched, watchedChat))
    if before then redis.call('SET', watched, number, 'KEEPTTL') end
    if chatBefore then redis.call('SET', watchedChat, number, 'KEEPTTL') end
    return { member, number, changeBefore(before, opened), changeBefore(chatBefore, opened) }
  end
end
`,
};

/** The changes before one, as the scripts answer them: empty where nobody watches. */
export const changesBefore = (application: string, chat: string): NumberedChange['before'] => ({
  ...(application === '' ? {} : { application: Number(application) }),
  ...(chat === '' ? {} : { chat: Number(chat) }),
});
