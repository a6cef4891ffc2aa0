import { guarded } from '../connection/guard.ts';
import { gateLua } from '../gate/gate.lua.ts';
import { chatMember } from '../script/keys.ts';
import { defineScript, expecting, runScript } from '../script/script.ts';
import { windowLua } from '../window/window.lua.ts';
import { type AcceptReply, acceptLua, type Cell, type Outcome, outcomeOf } from './accepting-script.ts';
import { chunks } from './chunks.ts';

const QUEUE = 'update-message';

/**
 * Puts the command into the outbox, and makes the edit visible: as pending, and in the window if it has the
 * message. `storedSender` is the sender from MySQL, or ''.
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
    args: ['server', 'command', 'chat', 'number', 'caller', 'storedSender'],
  },
  /* lua */ `
${acceptLua}
${windowLua}
local epoch, clock, lost, verifying = unpack(redis.call('HMGET', state, 'run:' .. server, 'clock', 'lost', 'verifying'))
if not epoch then return { 'closed' } end
if not isVerified(verifying, verified, chat) then return { 'unverified', lost } end
local count = redis.call('GET', counter)
if not count or tonumber(number) > tonumber(count) then return { 'missing' } end
local floor, bytes = windowOf(lost, entries)
local entry = floor and redis.call('HGET', entries, number)
local sender = storedSender
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
 * Removes the state that `accept` created, adds stored messages to the outbox of the index, and updates the
 * window to the written row. `version` is empty for a dead edit. May run again for the same commands.
 */
const settle = defineScript(
  {
    keys: ['state', 'outbox', 'indexOutbox'],
    each: {
      keys: ['order', 'entries', 'pendingOrder', 'pendingIds', 'pendingEdits'],
      args: ['id', 'digest', 'number', 'version', 'chat'],
    },
  },
  {
    before: /* lua */ `
${gateLua}
${windowLua}
local lost = redis.call('HGET', state, 'lost')
-- Whether the window shows this edit or a newer one, or does not contain the message.
local function agrees(entries, floor, number, id)
  if floor == '+' then return false end
  local edit, message = unpack(redis.call('HMGET', entries, 'u' .. number, number))
  local shown = edit or message
  return not shown or cjson.decode(shown).commandId >= tonumber(id)
end
`,
    each: /* lua */ `
  local isOurs = isInOutbox(outbox, id, digest)
  redis.call('XDEL', outbox, isOurs and id .. '-0' or '0-0')
  if isOurs and redis.call('HGET', pendingEdits, number) == id then redis.call('HDEL', pendingEdits, number) end
  local floor = windowOf(lost, entries)
  if version == '' then
    dropWindow(order, entries)
    return
  end
  redis.call('ZADD', indexOutbox, 'GT', version, chat .. ':' .. number)
  -- The message is stored, even if it is not settled yet. As a pending message it would hide this edit.
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

/** @param senderId the sender from MySQL, after an answer 'unknown'
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
    storedSender: senderId ?? '',
  };
  // May run twice: the second edit is the same.
  return guarded(client, async (connection) =>
    outcomeOf(
      'message',
      await runScript(connection, accept, { ...values, server: connection.server }),
      json,
      () => '',
    ),
  );
};

/** `version` is the version of the stored edit; absent for a dead command. */
export type SettledEdit = {
  token: string;
  chatNumber: number;
  messageNumber: number;
  commandId: number;
  digest?: string | undefined;
  version?: number;
};

/** @throws unavailable; then settle the commands again */
export const settleMessageUpdates = async (
  { client, keys }: Cell,
  settled: readonly SettledEdit[],
): Promise<void> => {
  const values = { state: keys.state, outbox: keys.outbox(QUEUE), indexOutbox: keys.indexOutbox };
  const items = settled.map(({ token, chatNumber, messageNumber, commandId, digest = '', version }) => ({
    order: keys.windowOrder(token, chatNumber),
    entries: keys.windowEntries(token, chatNumber),
    pendingOrder: keys.pendingOrder(token, chatNumber),
    pendingIds: keys.pendingIds(token, chatNumber),
    pendingEdits: keys.pendingEdits(token, chatNumber),
    id: commandId,
    digest,
    number: messageNumber,
    version: version ?? '',
    chat: chatMember(token, chatNumber),
  }));
  for (const chunk of chunks(items)) {
    await guarded(client, (connection) => runScript(connection, settle, values, chunk));
  }
};
