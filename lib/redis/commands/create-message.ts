import { gather } from '#lib/concurrency/gather.ts';
import { isKnownError } from '#lib/domain/errors.ts';
import { guarded } from '../connection/guard.ts';
import { gateLua, raiseLua } from '../gate/gate.lua.ts';
import { chatMember, type Keys } from '../script/keys.ts';
import { defineScript, expecting, type ItemOf, runScript } from '../script/script.ts';
import { windowLua } from '../window/window.lua.ts';
import {
  type AcceptReply,
  acceptLua,
  type Cell,
  type Idempotency,
  type Outcome,
  outcomeOf,
  repeatable,
} from './accepting-script.ts';
import { chunks } from './chunks.ts';

const QUEUE = 'create-message';

/**
 * Numbers each message, puts its command into the outbox, and makes it visible: among the pending messages
 * (`pendingOrder`, `pendingIds`), and in the chat's window if it is above the window's floor. The first message
 * of a chat begins its window. Returns an answer for each.
 */
const accept = defineScript(
  {
    keys: ['state', 'verified', 'outbox', 'dirty'],
    args: ['server'],
    each: {
      keys: ['idempotency', 'counter', 'order', 'entries', 'pendingOrder', 'pendingIds'],
      args: ['command', 'chat', 'fingerprint', 'seconds', 'createdAtMs'],
    },
  },
  {
    before: /* lua */ `
${acceptLua}
${windowLua}
local epoch, clock, lost, verifying = unpack(redis.call('HMGET', state, 'run:' .. server, 'clock', 'lost', 'verifying'))
`,
    each: /* lua */ `
  if not epoch then return { 'closed' } end
  local count, first = unpack(redis.call('MGET', counter, idempotency))
  if first then return repeated(first, fingerprint, outbox, epoch) end
  if not isVerified(verifying, verified, chat) then return { 'unverified', lost } end
  if not count then return { 'missing' } end
  if tonumber(count) >= MAX_NUMBER then return { 'full' } end
  local number = text(count + 1)
  local id = nextId(clock)
  clock = id
  command = keep(state, outbox, command, id, epoch, ',"messageNumber":' .. number)
  redis.call('SET', counter, number)
  remember(idempotency, seconds, fingerprint, number, id)
  local m = member(number)
  redis.call('ZADD', pendingOrder, createdAtMs, m)
  redis.call('HSET', pendingIds, number, id)
  redis.call('ZADD', dirty, id, chat)
  local floor, bytes = windowOf(lost, entries)
  if number == '1' then
    dropWindow(order, entries)
    redis.call('HSET', entries, 'epoch', lost or '0', 'floor', '-')
    floor, bytes = '-', 0
  end
  if floor and isAbove(tonumber(createdAtMs), m, floor) then
    addToWindow(order, entries, bytes, createdAtMs, number, command)
    if number == '1' then touchWindow(order, entries) end
  end
  return { 'accepted', number, id, epoch }
`,
  },
  expecting<AcceptReply[]>,
);

/**
 * Removes the state that `accept` created, and adds stored messages to the outbox of the index. A message is
 * always in one of the two outboxes until MySQL and the index have it. An item is a chat with its messages:
 * `<id> <digest> <number> <createdAtMs> <version>;` for each, without a version for a dead one. Only a command in the
 * outbox with this digest is forgotten. May run again for the same commands.
 */
const settle = defineScript(
  {
    keys: ['state', 'outbox', 'indexOutbox', 'dirty'],
    each: {
      keys: ['order', 'entries', 'pendingOrder', 'pendingIds', 'counter'],
      args: ['chat', 'messages'],
    },
  },
  {
    before: /* lua */ `
${gateLua}
${raiseLua}
${windowLua}
local lost = redis.call('HGET', state, 'lost')
local chats, ids, indexed = {}, {}, {}
`,
    each: /* lua */ `
  local of = { chat = chat, order = order, entries = entries, pendingOrder = pendingOrder, pendingIds = pendingIds,
    counter = counter, highest = -1, numbers = {}, members = {}, ids = {}, scores = {}, hasDead = false }
  for id, digest, number, score, version in string.gmatch(messages, '(%d+) (%x*) (%d+) (%-?%d+) (%d*);') do
    local i = #of.numbers + 1
    of.numbers[i], of.members[i], of.ids[i] = number, member(number), ''
    if isInOutbox(outbox, id, digest) then
      of.ids[i] = id
      ids[#ids + 1] = id .. '-0'
    end
    if version == '' then
      of.hasDead = true
    else
      of.scores[i] = tonumber(score)
      of.highest = math.max(of.highest, tonumber(number))
      indexed[#indexed + 1] = version
      indexed[#indexed + 1] = chat .. ':' .. number
    end
  end
  chats[#chats + 1] = of
`,
    after: /* lua */ `
local function forgetPending(of)
  local pending, numbers, members = redis.call('HMGET', of.pendingIds, unpack(of.numbers)), {}, {}
  for i, id in ipairs(of.ids) do
    if pending[i] == id then
      numbers[#numbers + 1] = of.numbers[i]
      members[#members + 1] = of.members[i]
    end
  end
  if #numbers == 0 then return end
  redis.call('HDEL', of.pendingIds, unpack(numbers))
  redis.call('ZREM', of.pendingOrder, unpack(members))
end
-- The window ends if it shows a dead message, lacks a stored message of another program, or is being built,
-- because its reader may have missed this message.
local function isWrong(of)
  local floor = windowOf(lost, of.entries)
  if not floor then return false end
  if of.hasDead or floor == '+' then return true end
  for i, number in ipairs(of.numbers) do
    if isAbove(of.scores[i], of.members[i], floor) and redis.call('HEXISTS', of.entries, number) == 0 then
      return true
    end
  end
  return false
end
-- Without an entry it removes nothing, but a full server then takes the writes that follow.
if #ids == 0 then ids[1] = '0-0' end
redis.call('XDEL', outbox, unpack(ids))
if #indexed > 0 then redis.call('ZADD', indexOutbox, 'GT', unpack(indexed)) end
for _, of in ipairs(chats) do
  if of.highest >= 0 then raise(of.counter, text(of.highest), dirty, of.chat) end
  forgetPending(of)
  if isWrong(of) then dropWindow(of.order, of.entries) end
end
return 'OK'
`,
  },
);

export type CreateMessage = {
  token: string;
  chatNumber: number;
  senderId: number;
  senderName: string;
  body: string;
  /** The message's createdAt, ISO 8601. */
  date: string;
};

/** Messages per call of the script. A larger call would let Redis and the broker wait for each other. */
const TOGETHER = 32;

type Item = ItemOf<typeof accept>;

const itemOf = (cell: Cell, command: CreateMessage, createdAtMs: number, idempotency: Idempotency): Item => {
  const { keys } = cell;
  const { token, chatNumber, senderId } = command;
  return {
    counter: keys.chatCounter(token, chatNumber),
    order: keys.windowOrder(token, chatNumber),
    entries: keys.windowEntries(token, chatNumber),
    pendingOrder: keys.pendingOrder(token, chatNumber),
    pendingIds: keys.pendingIds(token, chatNumber),
    command: JSON.stringify(command),
    chat: chatMember(token, chatNumber),
    createdAtMs,
    ...repeatable(cell, senderId, idempotency),
  };
};

/**
 * Returns a function that accepts a message. Messages of one turn of the event loop share a call.
 * The function returns the message's number as the answer, and throws not-found (no such chat), unprocessable,
 * conflict and unavailable.
 */
export const createMessageAcceptance = (cell: Cell) => {
  const { client, keys } = cell;
  const { state, verified, dirtyChats: dirty } = keys;
  const outbox = keys.outbox(QUEUE);

  const acceptAll = (items: readonly Item[]): Promise<AcceptReply[]> =>
    guarded(client, (connection) =>
      runScript(connection, accept, { state, verified, outbox, dirty, server: connection.server }, items),
    );
  const acceptAlone = async (item: Item): Promise<AcceptReply> => {
    const [reply] = await acceptAll([item]);
    if (reply === undefined) throw new Error('The script gave no answer');
    return reply;
  };
  const acceptTogether = gather(
    async (items: readonly Item[]) => {
      try {
        return await acceptAll(items);
      } catch (error) {
        // One message may make the script fail. Its neighbours that were accepted already are repetitions now.
        if (isKnownError(error) || items.length === 1) throw error;
        return items.map(acceptAlone);
      }
    },
    { size: TOGETHER },
  );

  return async (command: CreateMessage, createdAtMs: number, idempotency?: Idempotency): Promise<Outcome> => {
    const item = itemOf(cell, command, createdAtMs, idempotency);
    const reply = await acceptTogether(item);
    return outcomeOf('chat', reply, String(item.command), (number) => `,"messageNumber":${number}`);
  };
};

/** `version` is the version of the stored row, for the index; absent for a dead command. */
export type SettledMessage = {
  token: string;
  chatNumber: number;
  messageNumber: number;
  commandId: number;
  digest?: string | undefined;
  createdAtMs: number;
  version?: number;
};

/** A batch has few chats, so the script's keys are named once for each. */
const byChat = (keys: Keys, settled: readonly SettledMessage[]) => {
  const chats = new Map<string, ItemOf<typeof settle>>();
  for (const one of settled) {
    const { token, chatNumber, messageNumber, commandId, digest = '', createdAtMs, version = '' } = one;
    const chat = chatMember(token, chatNumber);
    const message = `${commandId} ${digest} ${messageNumber} ${createdAtMs} ${version};`;
    const known = chats.get(chat);
    if (known !== undefined) {
      known.messages += message;
      continue;
    }
    chats.set(chat, {
      order: keys.windowOrder(token, chatNumber),
      entries: keys.windowEntries(token, chatNumber),
      pendingOrder: keys.pendingOrder(token, chatNumber),
      pendingIds: keys.pendingIds(token, chatNumber),
      counter: keys.chatCounter(token, chatNumber),
      chat,
      messages: message,
    });
  }
  return [...chats.values()];
};

/** @throws unavailable; then settle the commands again */
export const settleMessages = async (
  { client, keys }: Cell,
  settled: readonly SettledMessage[],
): Promise<void> => {
  const values = {
    state: keys.state,
    outbox: keys.outbox(QUEUE),
    indexOutbox: keys.indexOutbox,
    dirty: keys.dirtyChats,
  };
  for (const chunk of chunks(settled)) {
    const chats = byChat(keys, chunk);
    await guarded(client, (connection) => runScript(connection, settle, values, chats));
  }
};
