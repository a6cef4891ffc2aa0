import { gate } from '../gate/gate.lua.ts';
import { defineScript, expecting } from '../script/script.ts';
import { MAX_PENDING, pending } from './read-page.ts';
import { window } from './window.lua.ts';

/** Another reader takes over after this time, in case the first one has died. */
const BUILD_SECONDS = 10;

/**
 * Marks the window as being built by this reader, which then reads MySQL's newest rows. Settling a command
 * ends the mark, because the command may be missing from those rows and is no longer pending. Returns 'begun'
 * or 'no'.
 */
export const beginWindow = defineScript(
  { uses: [gate, window], keys: ['state', 'order', 'entries', 'pendingEdits'], args: ['server', 'builder'] },
  /* lua */ `
local epoch, _, lost = readState(state, server)
if not epoch or windowOf(lost, entries) then return 'no' end
if redis.call('HLEN', pendingEdits) > ${MAX_PENDING} then return 'no' end
-- The first write is one that a server at its maxmemory refuses. After a removal it would accept all others.
redis.call('HSET', entries, 'floor', '+')
dropWindow(order, entries)
redis.call('HSET', entries, 'epoch', lost or '0', 'floor', '+', 'builder', builder)
redis.call('EXPIRE', entries, ${BUILD_SECONDS})
return 'begun'
`,
  expecting<'begun' | 'no'>,
);

/**
 * Fills the window with the rows that were read since it was marked, and with the pending messages.
 * `givenFloor` is '-' if these are all rows of the chat, else the place of the last row, which is left out.
 * Returns 'finished' or 'no'.
 */
export const finishWindow = defineScript(
  {
    uses: [gate, window, pending],
    keys: ['state', 'order', 'entries', 'pendingOrder', 'pendingIds', 'pendingEdits', 'creates', 'updates'],
    args: ['builder', 'givenFloor'],
    each: { args: ['createdAtMs', 'number', 'version', 'json'] },
  },
  {
    before: /* lua */ `
local lost = lossOf(state)
if windowOf(lost, entries) ~= '+' or redis.call('HGET', entries, 'builder') ~= builder then return 'no' end
if redis.call('HLEN', pendingEdits) > ${MAX_PENDING} then
  dropWindow(order, entries)
  return 'no'
end
local held, versions = {}, {}
local function hold(score, number, version, json)
  if versions[number] and versions[number] >= tonumber(version) then return end
  versions[number] = tonumber(version)
  held[number] = { tonumber(score), json }
end
`,
    each: 'hold(createdAtMs, number, version, json)',
    after: /* lua */ `
local floor = givenFloor
-- One more than a window holds, so the chat has older messages.
local members, pending, gone
repeat
  members = redis.call('ZREVRANGE', pendingOrder, 0, MAX_ENTRIES, 'WITHSCORES')
  local plain = {}
  for i = 1, #members, 2 do plain[#plain + 1] = members[i] end
  pending, gone = pendingMessages(pendingOrder, pendingIds, creates, plain)
until gone == 0
for i, json in ipairs(pending) do
  hold(members[i * 2], text(tonumber(members[i * 2 - 1])), cjson.decode(json).commandId, json)
end
if #pending > MAX_ENTRIES and isAbove(tonumber(members[#members]), members[#members - 1], floor) then
  floor = members[#members] .. ':' .. members[#members - 1]
end
local scores, fields, bytes = {}, {}, 0
local function field(name, json)
  fields[#fields + 1] = name
  fields[#fields + 1] = json
  bytes = bytes + #json
end
for number, message in pairs(held) do
  if isAbove(message[1], member(number), floor) then
    scores[#scores + 1] = message[1]
    scores[#scores + 1] = member(number)
    field(number, message[2])
  else
    held[number] = nil
  end
end
local edits = redis.call('HGETALL', pendingEdits)
for i = 1, #edits, 2 do
  local edit = held[edits[i]] and fromOutbox(updates, edits[i + 1])
  if edit then field('u' .. edits[i], edit) end
end
if #scores > 0 then
  redis.call('ZADD', order, unpack(scores))
  redis.call('HSET', entries, unpack(fields))
end
redis.call('HDEL', entries, 'builder')
redis.call('HSET', entries, 'floor', floor, 'bytes', bytes)
trimWindow(order, entries, bytes)
touchWindow(order, entries)
return 'finished'
`,
  },
  expecting<'finished' | 'no'>,
);
