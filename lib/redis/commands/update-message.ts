import { gateLua } from '../gate.lua.ts';
import { guarded } from '../guard.ts';
import { chatMember } from '../keys.ts';
import { defineScript, expecting, runScript } from '../script.ts';
import { windowLua } from '../window.lua.ts';
import { type AcceptReply, acceptLua, type Cell, type Outcome, outcomeOf } from './accept.ts';
import { chunks } from './chunks.ts';

const QUEUE = 'update-message';

/**
 * Keeps the command, and shows the edit from now on: as pending, and in the window if that has its message.
 * An empty `known` sender is one that is not known.
 */
const accept = defineScript(
  {
    keys: [
      'state',
      'verified',
      'counter',
      'outbox',
      'order',
      'entries',
      'pendingIds',
      'pendingEdits',
      'creates',
    ],
    args: ['server', 'command', 'chat', 'number', 'caller', 'known'],
  },
  /* lua */ `
${acceptLua}
${windowLua}
local epoch, clock, lost, verifying = unpack(redis.call('HMGET', state, 'run:' .. server, 'clock', 'lost', 'verifying'))
if not epoch then return closed(state, server) end
if not isVerified(verifying, verified, chat) then return { 'unverified', lost } end
local count = redis.call('GET', counter)
if not count or tonumber(number) > tonumber(count) then return { 'missing' } end
local floor, bytes = windowOf(lost, entries)
local entry = floor and redis.call('HGET', entries, number)
local sender = known
if sender == '' then
  local message = entry
  if not message then
    local pendingId = redis.call('HGET', pendingIds, number)
    message = pendingId and fromOutbox(creates, pendingId)
  end
  if not message then return { 'unknown' } end
  sender = text(cjson.decode(message).senderId)
end
if sender ~= caller then return { 'forbidden' } end
local id = nextId(clock)
command = keep(state, outbox, command, id, epoch, '')
redis.call('HSET', pendingEdits, number, id)
if entry then setEdit(order, entries, bytes, number, command) end
return { 'accepted', id, id, epoch }
`,
  expecting<AcceptReply>,
);

/**
 * Ends what `accept` keeps, notes what is stored for the index, and makes the window agree with the row that was
 * written. `version` is empty for a dead edit. May run again for the same commands.
 */
const settle = defineScript(
  {
    keys: ['state', 'outbox', 'indexOutbox'],
    each: {
      keys: ['order', 'entries', 'pendingOrder', 'pendingIds', 'pendingEdits'],
      args: ['id', 'number', 'version', 'chat'],
    },
  },
  {
    before: /* lua */ `
${gateLua}
${windowLua}
local lost = redis.call('HGET', state, 'lost')
-- Whether the window shows this edit or a newer one, or has nothing to do with the message.
local function agrees(entries, floor, number, id)
  if floor == '+' then return false end
  local edit, message = unpack(redis.call('HMGET', entries, 'u' .. number, number))
  local shown = edit or message
  return not shown or cjson.decode(shown).commandId >= tonumber(id)
end
`,
    each: /* lua */ `
  redis.call('XDEL', outbox, id .. '-0')
  if redis.call('HGET', pendingEdits, number) == id then redis.call('HDEL', pendingEdits, number) end
  local floor = windowOf(lost, entries)
  if version == '' then
    dropWindow(order, entries)
    return
  end
  redis.call('ZADD', indexOutbox, 'GT', version, chat .. ':' .. number)
  -- The message is stored, though its own settling may be late: shown as it was accepted, it would hide this edit.
  if redis.call('HDEL', pendingIds, number) == 1 then redis.call('ZREM', pendingOrder, member(number)) end
  if floor and not agrees(entries, floor, number, id) then dropWindow(order, entries) end
`,
  },
);

export type UpdateMessage = {
  token: string;
  chatNumber: number;
  messageNumber: number;
  body: string;
  date: string;
};

/**
 * @param senderId where MySQL was asked
 * @throws not-found, forbidden, unavailable
 */
export const acceptMessageUpdate = (
  { client, keys }: Cell,
  command: UpdateMessage,
  callerId: number,
  senderId: number | undefined,
): Promise<Outcome> => {
  const { token, chatNumber, messageNumber } = command;
  const json = JSON.stringify(command);
  const values = {
    state: keys.state,
    verified: keys.verified,
    counter: keys.chatCounter(token, chatNumber),
    outbox: keys.outbox(QUEUE),
    order: keys.windowOrder(token, chatNumber),
    entries: keys.windowEntries(token, chatNumber),
    pendingIds: keys.pendingIds(token, chatNumber),
    pendingEdits: keys.pendingEdits(token, chatNumber),
    creates: keys.outbox('create-message'),
    command: json,
    chat: chatMember(token, chatNumber),
    number: messageNumber,
    caller: callerId,
    known: senderId ?? '',
  };
  // May run twice: the second edit says the same.
  return guarded(client, async (connection) =>
    outcomeOf(
      'message',
      await runScript(connection, accept, { ...values, server: connection.server }),
      json,
      () => '',
    ),
  );
};

/** `version`: of the edit that was stored; absent when nothing was stored. */
export type SettledEdit = {
  token: string;
  chatNumber: number;
  messageNumber: number;
  commandId: number;
  version?: number;
};

/** @throws unavailable: settle them again */
export const settleMessageUpdates = async (
  { client, keys }: Cell,
  settled: readonly SettledEdit[],
): Promise<void> => {
  const values = { state: keys.state, outbox: keys.outbox(QUEUE), indexOutbox: keys.indexOutbox };
  const items = settled.map(({ token, chatNumber, messageNumber, commandId, version }) => ({
    order: keys.windowOrder(token, chatNumber),
    entries: keys.windowEntries(token, chatNumber),
    pendingOrder: keys.pendingOrder(token, chatNumber),
    pendingIds: keys.pendingIds(token, chatNumber),
    pendingEdits: keys.pendingEdits(token, chatNumber),
    id: commandId,
    number: messageNumber,
    version: version ?? '',
    chat: chatMember(token, chatNumber),
  }));
  for (const chunk of chunks(items)) {
    await guarded(client, (connection) => runScript(connection, settle, values, chunk));
  }
};
