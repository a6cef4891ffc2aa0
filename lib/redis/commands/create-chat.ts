import { guarded } from '../connection/guard.ts';
import { gateLua, raiseLua } from '../gate/gate.lua.ts';
import { defineScript, expecting, runScript } from '../script/script.ts';
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

const QUEUE = 'create-chat';

/**
 * Numbers the chat, puts the command into the outbox, creates the chat's counter, and keeps its title until
 * MySQL has it. The chat's counter is `<counter>:<number>`, under the same hash tag as the application's
 * counter.
 */
const accept = defineScript(
  {
    keys: ['state', 'verified', 'idempotency', 'counter', 'outbox', 'pending', 'dirty'],
    args: ['server', 'command', 'token', 'fingerprint', 'seconds', 'title'],
  },
  /* lua */ `
${acceptLua}
local epoch, clock, lost, verifying = unpack(redis.call('HMGET', state, 'run:' .. server, 'clock', 'lost', 'verifying'))
if not epoch then return { 'closed' } end
local count, first = unpack(redis.call('MGET', counter, idempotency))
if first then return repeated(first, fingerprint, outbox, epoch) end
if not isVerified(verifying, verified, token) then return { 'unverified', lost } end
if not count then return { 'missing' } end
if tonumber(count) >= MAX_NUMBER then return { 'full' } end
local number = text(count + 1)
local id = nextId(clock)
keep(state, outbox, command, id, epoch, ',"chatNumber":' .. number)
redis.call('SET', counter, number)
redis.call('SET', counter .. ':' .. number, 0)
if verifying then redis.call('SADD', verified, token .. ':' .. number) end
remember(idempotency, seconds, fingerprint, number, id)
redis.call('HSET', pending, number, title)
redis.call('ZADD', dirty, id, token)
return { 'accepted', number, id, epoch }
`,
  expecting<AcceptReply>,
);

/**
 * Removes the state that `accept` created. Only a stored chat raises counters, because the parent of a dead
 * one may not exist. May run again for the same commands.
 */
const settle = defineScript(
  {
    keys: ['outbox', 'dirty'],
    each: {
      keys: ['pending', 'counter', 'messageCounter'],
      args: ['id', 'digest', 'number', 'token', 'isStored'],
    },
  },
  {
    before: gateLua + raiseLua,
    each: /* lua */ `
  local isOurs = isInOutbox(outbox, id, digest)
  redis.call('XDEL', outbox, isOurs and id .. '-0' or '0-0')
  if isOurs or isStored == '1' then redis.call('HDEL', pending, number) end
  if isStored == '1' then
    raise(counter, number, dirty, token)
    raise(messageCounter, '0')
  end
`,
  },
);

export type CreateChat = { token: string; creatorId: number; title?: string; date: string };

/**
 * @returns the chat's number as the answer
 * @throws not-found (no such application), unprocessable, conflict, unavailable
 */
export const acceptChat = (cell: Cell, command: CreateChat, idempotency: Idempotency): Promise<Outcome> => {
  const { client, keys } = cell;
  const { token, title = '', creatorId } = command;
  const json = JSON.stringify(command);
  const values = {
    state: keys.state,
    verified: keys.verified,
    counter: keys.applicationCounter(token),
    outbox: keys.outbox(QUEUE),
    pending: keys.pendingChats(token),
    dirty: keys.dirtyApplications,
    command: json,
    token,
    title,
    ...repeatable(cell, creatorId, idempotency),
  };
  return guarded(client, async (connection) =>
    outcomeOf(
      'application',
      await runScript(connection, accept, { ...values, server: connection.server }),
      json,
      (number) => `,"chatNumber":${number}`,
    ),
  );
};

type SettledChat = { commandId: number; digest?: string | undefined; token: string; chatNumber: number };
export type SettledChats = { stored: readonly SettledChat[]; dead: readonly SettledChat[] };

/** @throws unavailable; then settle the commands again */
export const settleChats = async ({ client, keys }: Cell, { stored, dead }: SettledChats): Promise<void> => {
  const item =
    (isStored: '1' | '') =>
    ({ commandId, digest = '', token, chatNumber }: SettledChat) => ({
      pending: keys.pendingChats(token),
      counter: keys.applicationCounter(token),
      messageCounter: keys.chatCounter(token, chatNumber),
      id: commandId,
      digest,
      number: chatNumber,
      token,
      isStored,
    });
  for (const chunk of chunks([...stored.map(item('1')), ...dead.map(item(''))])) {
    await guarded(client, (connection) =>
      runScript(connection, settle, { outbox: keys.outbox(QUEUE), dirty: keys.dirtyApplications }, chunk),
    );
  }
};
