import { createChatCommand } from '#lib/contracts/commands/create-chat.ts';
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
-- MySQL shows the chat once it has the newest command. A dead command leaves what MySQL has.
local function forgetChat(pending, number, id, wasOurs, version)
  local known = pendingChat(pending, number)
  if not known then return end
  if (wasOurs and known == id) or (version and tonumber(known) <= tonumber(version)) then
    redis.call('HDEL', pending, number)
  end
end
`,
};

/** Only a stored chat gets a counter, because the parent of a dead one may not exist. */
export const settleChats = defineSettle(createChatCommand, {
  uses: [pendingChats],
  counter: ({ token }) => ({ token }),
  number: ({ chatNumber }) => chatNumber,
  keys: { pending: (keys, { token }) => keys.pendingChats(token) },
  forget: /* lua */ `
  for i, number in ipairs(numbers) do
    forgetChat(pending, number, ids[i], isOurs[i], versions[i])
    if versions[i] or (isOurs[i] and redis.call('HGET', pending, 'c' .. number) == ids[i]) then
      redis.call('HDEL', pending, 'c' .. number)
    end
    if versions[i] then raise(counter .. ':' .. number, '0') end
  end
`,
});
