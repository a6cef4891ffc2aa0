import { guarded } from '../connection/guard.ts';
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

const QUEUE = 'create-application';

/**
 * Puts the command into the outbox, creates the application's counter, and keeps its name and creator until
 * MySQL has them.
 */
const accept = defineScript(
  {
    keys: ['state', 'verified', 'idempotency', 'counter', 'outbox', 'application', 'pending'],
    args: ['server', 'command', 'token', 'fingerprint', 'seconds', 'name', 'creator'],
  },
  /* lua */ `
${acceptLua}
local epoch, clock, lost, verifying = unpack(redis.call('HMGET', state, 'run:' .. server, 'clock', 'lost', 'verifying'))
if not epoch then return { 'closed' } end
local first = redis.call('GET', idempotency)
if first then return repeated(first, fingerprint, outbox, epoch) end
local id = nextId(clock)
keep(state, outbox, command, id, epoch, '')
redis.call('SET', counter, 0)
if verifying then redis.call('SADD', verified, token) end
remember(idempotency, seconds, fingerprint, token, id)
redis.call('HSET', application, 'name', name, 'creator', creator, 'version', id, 'pending', 1, 'lost', lost or '0')
redis.call('ZADD', pending, id, token)
return { 'accepted', token, id, epoch }
`,
  expecting<AcceptReply>,
);

export type CreateApplication = { token: string; name: string; creatorId: number; date: string };

/**
 * @returns the application's token; for a repeated request the first token
 * @throws unprocessable, unavailable
 */
export const acceptApplication = (
  cell: Cell,
  command: CreateApplication,
  idempotency: Idempotency,
): Promise<Outcome> => {
  const { client, keys } = cell;
  const { token, name, creatorId } = command;
  const json = JSON.stringify(command);
  const values = {
    state: keys.state,
    verified: keys.verified,
    counter: keys.applicationCounter(token),
    outbox: keys.outbox(QUEUE),
    application: keys.application(token),
    pending: keys.pendingApplications(creatorId),
    command: json,
    token,
    name,
    creator: creatorId,
    ...repeatable(cell, creatorId, idempotency),
  };
  return guarded(client, async (connection) =>
    outcomeOf(
      'application',
      await runScript(connection, accept, { ...values, server: connection.server }),
      json,
      () => '',
    ),
  );
};
