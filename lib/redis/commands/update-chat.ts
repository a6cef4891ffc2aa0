import { updateChatCommand } from '#lib/contracts/commands/update-chat.ts';
import { DELETED, marks } from '../gate/gate.lua.ts';
import { defineAccept } from './accept.ts';
import { pendingChats } from './create-chat.ts';
import { defineSettle, type Erasable } from './settle.ts';

/** The new title is shown until MySQL has it. A deletion leaves a mark in the chat's counter. */
export const acceptChatUpdate = defineAccept(updateChatCommand, {
  uses: [pendingChats, marks],
  callerId: ({ callerId }) => callerId,
  counter: ({ token, chatNumber }) => ({ token, chatNumber }),
  edits: {
    item: ({ token, chatNumber }) => ({ token, chatNumber }),
    expected: ({ expected }) => expected,
    deletes: ({ deleted }) => deleted === true,
    admitsCreator: () => true,
    find: 'version, owner = pendingChat(pending, number)',
  },
  write: ({ token, chatNumber, title, deleted }, date) => ({
    token,
    chatNumber,
    ...(title === undefined ? {} : { title }),
    ...(deleted ? { deleted } : {}),
    date,
  }),
  answer: () => undefined,
  keys: { pending: (keys, { token }) => keys.pendingChats(token) },
  args: { number: ({ chatNumber }) => chatNumber, title: ({ title }) => title ?? '' },
  apply: /* lua */ `
  if deletes ~= '' then
    redis.call('HDEL', pending, number)
    markDeleted(counter, dirty, parent)
  else
    redis.call('HSET', pending, number, id .. ' ' .. owner .. ' ' .. title)
  end
`,
});

/** A row as its deletion left it sets the mark, also that of another program's deletion. */
export const settleChatUpdates = defineSettle<typeof updateChatCommand, Erasable>(updateChatCommand, {
  uses: [pendingChats, marks],
  counter: ({ token, chatNumber }) => ({ token, chatNumber }),
  number: () => 0,
  row: ({ isDeleted }) => (isDeleted ? DELETED : undefined),
  keys: { pending: (keys, { token }) => keys.pendingChats(token) },
  forget: /* lua */ `
  local number = string.match(parent, '%d+$')
  for i, id in ipairs(ids) do forgetChat(pending, number, id, isOurs[i], versions[i]) end
`,
  stored: "if rows['0'] then markStored(counter, dirty, parent) end",
});
