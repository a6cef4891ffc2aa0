import { createMessageCommand } from '#lib/contracts/commands/create-message.ts';
import type { Message } from '#lib/domain/message.ts';
import { markers } from '../window/markers.lua.ts';
import { window } from '../window/window.lua.ts';
import { defineAccept } from './accept.ts';
import { toIndex } from './index-message.ts';
import { defineSettle } from './settle.ts';

/**
 * The message is visible at once: among the pending messages (`pendingOrder`, `pendingIds`), and in the chat's window if
 * it is above the window's floor. The first message of a chat begins its window. Its sender has read the chat up to it:
 * the newest number is above every marker, so the present one is not read.
 */
export const acceptMessage = defineAccept(createMessageCommand, {
  uses: [window, markers],
  callerId: ({ senderId }) => senderId,
  counter: ({ token, chatNumber }) => ({ token, chatNumber }),
  write: ({ token, chatNumber, senderId, sender, senderName, body }, date) => ({
    token,
    chatNumber,
    senderId,
    sender,
    senderName,
    body,
    date,
  }),
  answer: Number,
  shared: { dirtyMarkers: (keys) => keys.dirtyMarkers },
  keys: {
    read: (keys, { senderId, token }) => keys.readMarkers(senderId, token),
    order: (keys, { token, chatNumber }) => keys.windowOrder(token, chatNumber),
    entries: (keys, { token, chatNumber }) => keys.windowEntries(token, chatNumber),
    pendingOrder: (keys, { token, chatNumber }) => keys.pendingOrder(token, chatNumber),
    pendingIds: (keys, { token, chatNumber }) => keys.pendingIds(token, chatNumber),
  },
  args: {
    createdAtMs: (_given, atMs) => atMs,
    chat: ({ chatNumber }) => chatNumber,
    sender: ({ senderId }) => senderId,
  },
  applyTogether: {
    shared: ['order', 'entries', 'pendingOrder', 'pendingIds', 'chat'],
    each: ['createdAtMs', 'read', 'sender'],
    lua: /* lua */ `
    local places, creations, readers = {}, {}, {}
    for i, item in ipairs(items) do
      item.member = member(item.number)
      places[i * 2 - 1], places[i * 2] = item.createdAtMs, item.member
      creations[i * 2 - 1], creations[i * 2] = item.number, item.id
      readers[item.read] = item
    end
    redis.call('ZADD', pendingOrder, unpack(places))
    redis.call('HSET', pendingIds, unpack(creations))
    addToWindow(order, entries, lost, items)
    for read, item in pairs(readers) do
      setMarker(read, chat, item.number, lost, dirtyMarkers, item.id, item.sender .. ':' .. parent)
    end
`,
  },
});

/** A message is always in one of the two outboxes until MySQL and the index have it. */
export const settleMessages = defineSettle<
  typeof createMessageCommand,
  Partial<Pick<Message, 'deletedAtMs'>>
>(createMessageCommand, {
  uses: [window, toIndex],
  counter: ({ token, chatNumber }) => ({ token, chatNumber }),
  number: ({ messageNumber }) => messageNumber,
  createdAtMs: ({ createdAtMs }) => createdAtMs,
  row: ({ deletedAtMs }) => (deletedAtMs === undefined ? undefined : 'deleted'),
  shared: { indexOutbox: (keys) => keys.indexOutbox },
  keys: {
    order: (keys, { token, chatNumber }) => keys.windowOrder(token, chatNumber),
    entries: (keys, { token, chatNumber }) => keys.windowEntries(token, chatNumber),
    pendingOrder: (keys, { token, chatNumber }) => keys.pendingOrder(token, chatNumber),
    pendingIds: (keys, { token, chatNumber }) => keys.pendingIds(token, chatNumber),
  },
  forget: /* lua */ `
  local pending, goneNumbers, goneMembers = redis.call('HMGET', pendingIds, unpack(numbers)), {}, {}
  for i, id in ipairs(ids) do
    if isOurs[i] and pending[i] == id then
      goneNumbers[#goneNumbers + 1] = numbers[i]
      goneMembers[#goneMembers + 1] = member(numbers[i])
    end
  end
  if #goneNumbers > 0 then
    redis.call('HDEL', pendingIds, unpack(goneNumbers))
    redis.call('ZREM', pendingOrder, unpack(goneMembers))
  end
`,
  stored: /* lua */ `
  handOn(indexOutbox, parent, numbers, versions)
  -- The window ends if it shows a dead message or the text of an erased account, lacks a stored message of another program, or is being built, because
  -- its reader may have missed this message.
  local floor = windowOf(lost, entries)
  local isWrong, floorScore, floorMember = floor == '+', placeOf(floor)
  for i, number in ipairs(numbers) do
    if not floor or isWrong then break end
    isWrong = not versions[i]
      or rows[number] ~= nil
      or (isBeyond(times[i], member(number), floorScore, floorMember) and redis.call('HEXISTS', entries, number) == 0)
  end
  if isWrong then dropWindow(order, entries) end
`,
});
