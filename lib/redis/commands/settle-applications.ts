import { guarded } from '../connection/guard.ts';
import { gateLua, raiseLua } from '../gate/gate.lua.ts';
import { defineScript, runScript } from '../script/script.ts';
import type { Cell } from './accepting-script.ts';
import { chunks } from './chunks.ts';

/**
 * Removes the state of `create-application` and `update-application`: the command leaves the outbox, and the
 * name expires an hour after the last pending command of the application. May run again for the same
 * commands. The first write is a removal, because a server at its `maxmemory` refuses a script whose first
 * write adds.
 */
const settle = defineScript(
  {
    keys: ['outbox'],
    each: { keys: ['application', 'pending', 'counter'], args: ['id', 'digest', 'token', 'isStored'] },
  },
  {
    before: gateLua + raiseLua,
    each: /* lua */ `
  local wasOurs = isInOutbox(outbox, id, digest)
  redis.call('XDEL', outbox, wasOurs and id .. '-0' or '0-0')
  if isStored == '1' then raise(counter, '0') end
  local version = redis.call('HGET', application, 'version')
  if version and wasOurs then
    if redis.call('HINCRBY', application, 'pending', -1) <= 0 then redis.call('EXPIRE', application, 3600) end
  elseif version and isStored == '1' and tonumber(version) < tonumber(id) then
    redis.call('DEL', application) -- another program's rename: MySQL knows better
  end
  if wasOurs or isStored == '1' then redis.call('ZREM', pending, token) end
`,
  },
);

type SettledApplication = {
  commandId: number;
  digest?: string | undefined;
  token: string;
  creatorId?: number;
};

/** Stored and dead commands of a queue. */
export type SettledApplications = {
  queue: string;
  stored: readonly SettledApplication[];
  dead: readonly SettledApplication[];
};

/** @throws unavailable; then settle the commands again */
export const settleApplications = async (
  { client, keys }: Cell,
  { queue, stored, dead }: SettledApplications,
): Promise<void> => {
  const item =
    (isStored: '1' | '') =>
    ({ token, creatorId = 0, commandId, digest = '' }: SettledApplication) => ({
      application: keys.application(token),
      pending: keys.pendingApplications(creatorId),
      counter: keys.applicationCounter(token),
      id: commandId,
      digest,
      token,
      isStored,
    });
  for (const chunk of chunks([...stored.map(item('1')), ...dead.map(item(''))])) {
    await guarded(client, (connection) =>
      runScript(connection, settle, { outbox: keys.outbox(queue) }, chunk),
    );
  }
};
