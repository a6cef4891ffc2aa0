import { guarded } from '../connection/guard.ts';
import { defineScript, expecting, runScript } from '../script/script.ts';
import { type AcceptReply, acceptLua, type Cell, type Outcome, outcomeOf } from './accepting-script.ts';

const QUEUE = 'update-application';

/**
 * Puts the command into the outbox, and shows the new name until MySQL has it. `storedCreator` is the creator from
 * MySQL, or ''.
 */
const accept = defineScript(
  {
    keys: ['state', 'verified', 'counter', 'outbox', 'application'],
    args: ['server', 'command', 'token', 'name', 'caller', 'storedCreator'],
  },
  /* lua */ `
${acceptLua}
local epoch, clock, lost, verifying = unpack(redis.call('HMGET', state, 'run:' .. server, 'clock', 'lost', 'verifying'))
if not epoch then return { 'closed' } end
if not isVerified(verifying, verified, token) then return { 'unverified', lost } end
if redis.call('EXISTS', counter) == 0 then return { 'missing' } end
local creator = redis.call('HGET', application, 'creator') or storedCreator
if creator == '' then return { 'unknown' } end
if creator ~= caller then return { 'forbidden' } end
local id = nextId(clock)
keep(state, outbox, command, id, epoch, '')
redis.call('HSET', application, 'name', name, 'creator', creator, 'version', id, 'lost', lost or '0')
redis.call('HINCRBY', application, 'pending', 1)
redis.call('PERSIST', application)
return { 'accepted', id, id, epoch }
`,
  expecting<AcceptReply>,
);

export type UpdateApplication = { token: string; name: string; date: string };

/** @param creatorId the creator from MySQL, after an answer 'unknown'
 * @throws not-found, forbidden, unavailable
 */
export const acceptApplicationUpdate = (
  { client, keys }: Cell,
  command: UpdateApplication,
  callerId: number,
  creatorId: number | undefined,
): Promise<Outcome> => {
  const { token, name } = command;
  const json = JSON.stringify(command);
  const values = {
    state: keys.state,
    verified: keys.verified,
    counter: keys.applicationCounter(token),
    outbox: keys.outbox(QUEUE),
    application: keys.application(token),
    command: json,
    token,
    name,
    caller: callerId,
    storedCreator: creatorId ?? '',
  };
  // May run twice: the second edit is the same.
  return guarded(client, async (connection) =>
    outcomeOf(
      'application',
      await runScript(connection, accept, { ...values, server: connection.server }),
      json,
      () => '',
    ),
  );
};
