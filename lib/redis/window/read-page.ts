import { gate, marks, numbers, outbox } from '../gate/gate.lua.ts';
import { defineScript, expecting, type LuaModule } from '../script/script.ts';
import { window } from './window.lua.ts';

/** The most pending messages and pending edits that a page reads. */
export const MAX_PENDING = 1_000;

/** Reads drop a pending message that is not in the outbox, because an operator removed it there. */
export const pending: LuaModule = {
  needs: [numbers, outbox],
  lua: /* lua */ `
local function pendingMessages(pendingOrder, pendingIds, creates, members)
  local messages, gone = {}, 0
  for _, m in ipairs(members) do
    local number = text(tonumber(m))
    local id = redis.call('HGET', pendingIds, number)
    local message = id and fromOutbox(creates, id)
    if message then
      messages[#messages + 1] = message
    else
      redis.call('ZREM', pendingOrder, m)
      redis.call('HDEL', pendingIds, number)
      gone = gone + 1
    end
  end
  return messages, gone
end
`,
};

/** Whether Redis alone can tell that a chat exists, and with how many messages. */
const ofChat: LuaModule = {
  needs: [gate, marks],
  lua: /* lua */ `
-- The chat's number of messages, and whether it is trusted. A chat exists as long as its application does.
local function readTotal(isOpen, verifying, verified, counter, chat, application, token)
  local total, chats = unpack(redis.call('MGET', counter, application))
  if isDeleted(total) or isDeleted(chats) then return nil, true end
  local isTrusted = isOpen and isVerified(verifying, verified, chat) and isVerified(verifying, verified, token)
  return chats and total, isTrusted
end
`,
};

/**
 * Reads a page of a chat, as far as Redis has it. `score` and `mark` are the cursor's createdAt in ms and its
 * padded number, both empty for the first page. `upwards` is '1' for oldest first, else ''. Returns one of:
 *
 * With an open gate, the last value is the clock: the page has every change up to it, if it is authoritative.
 *
 * - missing: the chat does not exist
 * - window: the whole page, as message, its edit or '', …; '1' if it is authoritative
 * - authoritative or provisional (MySQL may have newer or further messages): pending messages; [number, id of its newest
 *   pending edit, …] or false if there are too many; '1' if the chat has no window
 * - deep: more messages are pending above the page than one read may skip
 */
export const readPage = defineScript(
  {
    uses: [gate, window, pending, ofChat],
    keys: [
      'state',
      'verified',
      'counter',
      'application',
      'order',
      'entries',
      'pendingOrder',
      'pendingIds',
      'pendingEdits',
      'creates',
    ],
    args: ['server', 'chat', 'token', 'score', 'mark', 'upwards', 'skip', 'limit'],
  },
  /* lua */ `
local count = tonumber(limit)
local epoch, clock, lost, verifying = readState(state, server)
local total, isAuthoritative = readTotal(epoch, verifying, verified, counter, chat, application, token)
if isAuthoritative and not total then return { 'missing' } end
if isAuthoritative and total == '0' then return { 'window', {}, '1', clock } end

local isUpwards = upwards ~= ''
-- Members of a sorted set beyond the cursor, in the order of the page.
local function beyond(key, wanted)
  if score == '' then return redis.call(isUpwards and 'ZRANGE' or 'ZREVRANGE', key, 0, wanted - 1) end
  local ties = redis.call('ZCOUNT', key, score, score)
  local command, last = 'ZREVRANGEBYSCORE', '-inf'
  if isUpwards then command, last = 'ZRANGEBYSCORE', '+inf' end
  local found = redis.call(command, key, score, last, 'WITHSCORES', 'LIMIT', 0, wanted + ties)
  local members = {}
  for i = 1, #found, 2 do
    local isBefore
    if isUpwards then isBefore = found[i] <= mark else isBefore = found[i] >= mark end
    if #members < wanted and not (tonumber(found[i + 1]) == tonumber(score) and isBefore) then
      members[#members + 1] = found[i]
    end
  end
  return members
end

local floor = epoch and windowOf(lost, entries)
if floor and floor ~= '+' then
  local members = beyond(order, skip + count)
  local isWhole = floor == '-'
  if isUpwards then
    isWhole = isWhole or (score ~= '' and isAbove(tonumber(score), mark, floor))
  else
    isWhole = isWhole or #members == skip + count
  end
  if isWhole then
    local fields, page = {}, {}
    for i = skip + 1, #members do
      local number = text(tonumber(members[i]))
      fields[#fields + 1] = number
      fields[#fields + 1] = 'u' .. number
    end
    if #fields > 0 then page = redis.call('HMGET', entries, unpack(fields)) end
    for i, value in ipairs(page) do page[i] = value or '' end
    touchWindow(order, entries)
    return { 'window', page, isAuthoritative and '1' or '', clock }
  end
end

local pending, gone
repeat
  local members = beyond(pendingOrder, math.min(skip + count, ${MAX_PENDING} + 1))
  if #members > ${MAX_PENDING} then return { 'deep' } end
  pending, gone = pendingMessages(pendingOrder, pendingIds, creates, members)
until gone == 0
local edits = redis.call('HLEN', pendingEdits) <= ${MAX_PENDING} and redis.call('HGETALL', pendingEdits)
return { isAuthoritative and 'authoritative' or 'provisional', pending, edits, epoch and not floor and '1' or '', clock }
`,
  expecting<
    | ['missing' | 'deep']
    | ['window', string[], isAuthoritative: '1' | '', clock: string]
    | [
        'authoritative' | 'provisional',
        pending: string[],
        edits: string[] | null,
        cold: '1' | '',
        clock?: string,
      ]
  >,
);

/**
 * Reads messages, as far as Redis has them. Returns for each missing, or authoritative or provisional with the message
 * or '' and its edit or ''. Provisional: MySQL may have a newer version, or a message that Redis lacks. Before them it returns
 * the clock, or '' while the gate is closed.
 */
export const readMessages = defineScript(
  {
    uses: [gate, outbox, window, ofChat],
    keys: ['state', 'verified', 'creates', 'updates'],
    args: ['server'],
    each: {
      keys: ['counter', 'application', 'entries', 'pendingIds', 'pendingEdits'],
      args: ['chat', 'token', 'number'],
    },
  },
  {
    before: 'local epoch, clock, lost, verifying, behind = readState(state, server)',
    each: /* lua */ `
local total, isAuthoritative = readTotal(epoch, verifying, verified, counter, chat, application, token)
local message, edit
if isAuthoritative and (not total or tonumber(number) > tonumber(total)) then return { 'missing' } end
if epoch and windowOf(lost, entries) then
  message, edit = unpack(redis.call('HMGET', entries, number, 'u' .. number))
end
if not message then
  local id = redis.call('HGET', pendingIds, number)
  message = id and fromOutbox(creates, id)
  -- After a rollback, Redis may show messages as pending that MySQL has stored and edited since.
  if message and behind and tonumber(id) <= tonumber(behind) then isAuthoritative = false end
end
if not edit then
  local id = redis.call('HGET', pendingEdits, number)
  edit = id and fromOutbox(updates, id)
end
return { isAuthoritative and 'authoritative' or 'provisional', message or '', edit or '' }
`,
    after: "return { epoch and clock or '', results }",
  },
  expecting<
    [clock: string, (['missing'] | ['authoritative' | 'provisional', message: string, edit: string])[]]
  >,
);
