import { createChatCommand } from '#lib/contracts/commands/create-chat.ts';
import { marks } from '../gate/gate.lua.ts';
import type { LuaModule } from '../script/script.ts';
import { defineAccept } from './accept.ts';
import { defineSettle } from './settle.ts';

/**
 * The chat can be used at once: its counter begins, and its title is kept until MySQL has it. The chat's counter is
 * `<counter>:<number>`, under the same hash tag as the application's counter.
 */
export const acceptChat = defineAccept(createChatCommand, {
  callerId: ({ creatorId }) => creatorId,
  counter: ({ token }) => ({ token }),
  write: ({ token, creatorId, title }, date) => ({
    token,
    creatorId,
    ...(title === undefined ? {} : { title }),
    date,
  }),
  answer: Number,
  keys: { pending: (keys, { token }) => keys.pendingChats(token) },
  args: { creator: ({ creatorId }) => creatorId, title: ({ title }) => title ?? '' },
  apply: /* lua */ `
  redis.call('SET', counter .. ':' .. number, 0)
  if verifying then redis.call('SADD', verified, parent .. ':' .. number) end
  redis.call('HSET', pending, number, id .. ' ' .. creator .. ' ' .. title, 'c' .. number, id)
`,
});

/** Pending chats, as `<version> <creator> <title>`, and in the field `c<number>` the id of a pending creation. */
export const pendingChats: LuaModule = {
  lua: /* lua */ `
-- The version and the creator of a pending chat.
local function pendingChat(pending, number)
  return string.match(redis.call('HGET', pending, number) or '', '^(%d+) (%d+) ')
end
-- MySQL shows the chat once it has the newest command. A dead command leaves MySQL's title.
local function forgetChat(pending, number, id, wasOurs, version)
  local known = pendingChat(pending, number)
  if not known then return end
  if (wasOurs and known == id) or (version and tonumber(known) <= tonumber(version)) then
    redis.call('HDEL', pending, number)
  end
end
`,
};

/**
 * Only a stored chat gets a counter, because the parent of a dead one may not exist. A chat that comes after the deletion of its
 * application has no row, so its counter goes here.
 */
export const settleChats = defineSettle(createChatCommand, {
  uses: [pendingChats, marks],
  counter: ({ token }) => ({ token }),
  number: ({ chatNumber }) => chatNumber,
  shared: { dirtyChats: (keys) => keys.dirtyChats },
  keys: { pending: (keys, { token }) => keys.pendingChats(token) },
  forget: /* lua */ `
  local isGone = isDeleted(redis.call('GET', counter))
  for i, number in ipairs(numbers) do
    local ofChat = counter .. ':' .. number
    forgetChat(pending, number, ids[i], isOurs[i], versions[i])
    if versions[i] or (isOurs[i] and redis.call('HGET', pending, 'c' .. number) == ids[i]) then
      redis.call('HDEL', pending, 'c' .. number)
    end
    if versions[i] then
      raise(ofChat, '0')
    elseif isGone and redis.call('EXISTS', ofChat) == 1 then
      markStored(ofChat, dirtyChats, parent .. ':' .. number)
    end
  end
`,
});
