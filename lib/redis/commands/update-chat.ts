import { updateChatCommand } from '#lib/contracts/commands/update-chat.ts';
import { defineAccept } from './accept.ts';
import { pendingChats } from './create-chat.ts';
import { defineSettle } from './settle.ts';

/** The new title is shown until MySQL has it. */
export const acceptChatUpdate = defineAccept(updateChatCommand, {
  uses: [pendingChats],
  callerId: ({ callerId }) => callerId,
  counter: ({ token, chatNumber }) => ({ token, chatNumber }),
  edits: {
    item: ({ token, chatNumber }) => ({ token, chatNumber }),
    expected: ({ expected }) => expected,
    admitsCreator: () => true,
    find: 'version, owner = pendingChat(pending, number)',
  },
  write: ({ token, chatNumber, title }, date) => ({
    token,
    chatNumber,
    ...(title === undefined ? {} : { title }),
    date,
  }),
  answer: () => undefined,
  keys: { pending: (keys, { token }) => keys.pendingChats(token) },
  args: { number: ({ chatNumber }) => chatNumber, title: ({ title }) => title ?? '' },
  apply: "redis.call('HSET', pending, number, id .. ' ' .. owner .. ' ' .. title)",
});

export const settleChatUpdates = defineSettle(updateChatCommand, {
  uses: [pendingChats],
  counter: ({ token, chatNumber }) => ({ token, chatNumber }),
  number: () => 0,
  keys: { pending: (keys, { token }) => keys.pendingChats(token) },
  forget: /* lua */ `
  local number = string.match(parent, '%d+$')
  for i, id in ipairs(ids) do forgetChat(pending, number, id, isOurs[i], versions[i]) end
`,
});
