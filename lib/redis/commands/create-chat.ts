import { createChatCommand } from '#lib/contracts/commands/create-chat.ts';
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
  args: { title: ({ title }) => title ?? '' },
  apply: /* lua */ `
  redis.call('SET', counter .. ':' .. number, 0)
  if verifying then redis.call('SADD', verified, parent .. ':' .. number) end
  redis.call('HSET', pending, number, title)
`,
});

/** Only a stored chat gets a counter, because the parent of a dead one may not exist. */
export const settleChats = defineSettle(createChatCommand, {
  counter: ({ token }) => ({ token }),
  number: ({ chatNumber }) => chatNumber,
  keys: { pending: (keys, { token }) => keys.pendingChats(token) },
  forget: /* lua */ `
  for i, number in ipairs(numbers) do
    if isOurs[i] or versions[i] then redis.call('HDEL', pending, number) end
    if versions[i] then raise(counter .. ':' .. number, '0') end
  end
`,
});
