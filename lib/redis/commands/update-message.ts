import type { Written } from '#lib/contracts/commands/command.ts';
import { createMessageCommand } from '#lib/contracts/commands/create-message.ts';
import { updateMessageCommand } from '#lib/contracts/commands/update-message.ts';
import { isDeleted, type Message } from '#lib/domain/message.ts';
import { type KeptMessage, toKept } from '../window/kept-message.ts';
import { window } from '../window/window.lua.ts';
import { defineAccept } from './accept.ts';
import { toIndex } from './index-message.ts';
import { defineSettle } from './settle.ts';

const DELETED_AT: keyof KeptMessage = 'deletedAt';
const SENDER: keyof Written<typeof createMessageCommand> = 'senderId';

/**
 * The edit is visible at once: as pending, and in the window if that has the message. A deletion stays the newest pending
 * edit of its message, because edits of a deleted message are refused.
 */
export const acceptMessageUpdate = defineAccept(updateMessageCommand, {
  uses: [window],
  callerId: ({ callerId }) => callerId,
  counter: ({ token, chatNumber }) => ({ token, chatNumber }),
  edits: {
    item: ({ token, chatNumber, messageNumber }) => ({ token, chatNumber, messageNumber }),
    expected: ({ expected }) => expected,
    deletes: ({ deleted }) => deleted === true,
    admitsCreator: ({ deleted }) => deleted === true,
    find: /* lua */ `
  local floor, bytes = windowOf(lost, entries)
  local entry = floor and redis.call('HGET', entries, number)
  local created = not entry and redis.call('HGET', pendingIds, number)
  local message = entry or (created and fromOutbox(creates, created))
  if message then
    local known = cjson.decode(message)
    owner, isDeleted = text(known.${SENDER}), known.${DELETED_AT} ~= nil
  end
  local edited = redis.call('HGET', pendingEdits, number)
  if edited and isDeletion(fromOutbox(outbox, edited)) then isDeleted, deletedBy = true, edited end
  if expected ~= '' then
    version = edited or created
    if entry and not version then version = shownVersion(entries, number, entry) end
  end
`,
  },
  write: ({ token, chatNumber, messageNumber, body, deleted }, date) => ({
    token,
    chatNumber,
    messageNumber,
    body,
    ...(deleted ? { deleted } : {}),
    date,
  }),
  answer: () => undefined,
  shared: { creates: (keys) => keys.outbox(createMessageCommand.queue) },
  keys: {
    order: (keys, { token, chatNumber }) => keys.windowOrder(token, chatNumber),
    entries: (keys, { token, chatNumber }) => keys.windowEntries(token, chatNumber),
    pendingIds: (keys, { token, chatNumber }) => keys.pendingIds(token, chatNumber),
    pendingEdits: (keys, { token, chatNumber }) => keys.pendingEdits(token, chatNumber),
  },
  args: { number: ({ messageNumber }) => messageNumber },
  refuse: "if tonumber(number) > tonumber(count) then return { 'missing' } end",
  apply: /* lua */ `
  redis.call('HSET', pendingEdits, number, id)
  if entry then setEdit(order, entries, bytes, number, command) end
`,
});

/**
 * A stored message is no longer pending, even if it is not settled yet. As a pending message it would hide the edit. A
 * deleted message is replaced in the window by its blank row, which no later edit may change.
 */
export const settleMessageUpdates = defineSettle<typeof updateMessageCommand, Message>(updateMessageCommand, {
  uses: [window, toIndex],
  counter: ({ token, chatNumber }) => ({ token, chatNumber }),
  number: ({ messageNumber }) => messageNumber,
  row: (message) => (isDeleted(message) ? toKept(message) : undefined),
  shared: { indexOutbox: (keys) => keys.indexOutbox, deletions: (keys) => keys.deletions },
  keys: {
    order: (keys, { token, chatNumber }) => keys.windowOrder(token, chatNumber),
    entries: (keys, { token, chatNumber }) => keys.windowEntries(token, chatNumber),
    pendingOrder: (keys, { token, chatNumber }) => keys.pendingOrder(token, chatNumber),
    pendingIds: (keys, { token, chatNumber }) => keys.pendingIds(token, chatNumber),
    pendingEdits: (keys, { token, chatNumber }) => keys.pendingEdits(token, chatNumber),
  },
  forget: /* lua */ `
  for i, number in ipairs(numbers) do
    if isOurs[i] and redis.call('HGET', pendingEdits, number) == ids[i] then
      redis.call('HDEL', pendingEdits, number)
    end
  end
`,
  stored: /* lua */ `
  handOn(indexOutbox, parent, numbers, versions)
  -- Until the index confirms it.
  for number in pairs(rows) do redis.call('ZADD', deletions, '+inf', parent .. ':' .. number) end
  local floor = windowOf(lost, entries)
  for i, number in ipairs(numbers) do
    if versions[i] and redis.call('HDEL', pendingIds, number) == 1 then
      redis.call('ZREM', pendingOrder, member(number))
    end
    -- The window ends if it shows a dead edit, or neither this edit nor a newer one, or if it is being built.
    if floor and floor ~= '+' and rows[number] then
      replaceEntry(entries, number, rows[number])
    elseif floor and not (versions[i] and isShown(entries, floor, number, ids[i])) then
      dropWindow(order, entries)
      floor = nil
    end
  end
`,
});
