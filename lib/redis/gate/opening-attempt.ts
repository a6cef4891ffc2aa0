import { randomUUID } from 'node:crypto';
import type { Connection } from '../connection/client.ts';
import { guarded } from '../connection/guard.ts';
import { type Generation, type RevocationKeys, raiseOn } from '../revocation/generations.ts';
import type { Keys } from '../script/keys.ts';
import { defineScript, expecting, runScript } from '../script/script.ts';
import { numbers } from './gate.lua.ts';

/** Another attempt takes over this long after the last sign of life. */
const BUSY_MS = 3_000;

/** Notes the attempt, unless the gate is open or another attempt runs. */
const beginAttempt = defineScript(
  { uses: [numbers], keys: ['state'], args: ['server', 'attempt', 'busyMs'] },
  /* lua */ `
if redis.call('HEXISTS', state, 'run:' .. server) == 1 then return 'open' end
local at = tonumber(redis.call('HGET', state, 'attempt-at'))
local now = nowMicros()
if at and at <= now and now - at < busyMs * 1000 then return 'busy' end
redis.call('HSET', state, 'attempt', attempt, 'attempt-at', text(now))
return 'begun'
`,
  expecting<'open' | 'busy' | 'begun'>,
);

const touchAttempt = defineScript(
  { uses: [numbers], keys: ['state'], args: ['attempt'] },
  /* lua */ `
if redis.call('HGET', state, 'attempt') ~= attempt then return 'superseded' end
redis.call('HSET', state, 'attempt-at', text(nowMicros()))
return 'current'
`,
  expecting<'current' | 'superseded'>,
);

/** Ends a failed attempt, so that the next one need not wait. */
const endAttempt = defineScript(
  { keys: ['state'], args: ['attempt'] },
  /* lua */ `
if redis.call('HGET', state, 'attempt') == attempt then redis.call('HDEL', state, 'attempt', 'attempt-at') end
return 'OK'
`,
);

/** The last number, the last one of a closed gate, and the time. */
const readClocks = defineScript(
  { uses: [numbers], keys: ['state'] },
  /* lua */ `
local clock, late = unpack(redis.call('HMGET', state, 'clock', 'late'))
return { clock or '0', late or '0', text(nowMicros()) }
`,
  expecting<[clock: string, late: string, now: string]>,
);

/**
 * Opens the gate in this epoch, and raises the clock to `start`. A clock below the witness means that Redis has lost data.
 * From then on only verified counters are used. Returns open · lost · superseded, or changed if the clock is not \`found\` or
 * a number of the closed gate is not below \`start\`.
 */
const openAttempt = defineScript(
  {
    keys: ['state', 'verified'],
    args: ['server', 'attempt', 'epoch', 'witness', 'found', 'start'],
  },
  /* lua */ `
if redis.call('HGET', state, 'attempt') ~= attempt then return 'superseded' end
local clock, late = unpack(redis.call('HMGET', state, 'clock', 'late'))
if (clock or '0') ~= found or tonumber(late or '0') >= tonumber(start) then return 'changed' end
local isBehind = tonumber(found) < tonumber(witness)
redis.call('HSET', state, 'clock', start, 'opened', start)
redis.call('HDEL', state, 'late')
if isBehind then
  redis.call('HSET', state, 'behind', start, 'lost', epoch, 'verifying', epoch)
  redis.call('HDEL', state, 'progress')
  redis.call('DEL', verified)
end
for _, field in ipairs(redis.call('HKEYS', state)) do
  if string.match(field, '^run:') or field == 'attempt' or field == 'attempt-at' then redis.call('HDEL', state, field) end
end
redis.call('HSET', state, 'run:' .. server, epoch)
return isBehind and 'lost' or 'open'
`,
  expecting<'open' | 'lost' | 'superseded' | 'changed'>,
);

/** One attempt on one socket. It opens the gate for the server run with which it began. */
export const createAttempt = (connection: Connection, keys: Pick<Keys, 'verified'> & RevocationKeys) => {
  const { server } = connection;
  const { state, verified } = keys;
  const on = <Result>(work: (connection: Connection) => Promise<Result>) =>
    guarded({ connection: async () => connection }, work, { tries: 1 });
  const id = randomUUID();
  return {
    server,
    /** @returns 'open' if the gate is open already, 'busy' during another attempt */
    begin: (): Promise<'begun' | 'open' | 'busy'> =>
      on(runScript(beginAttempt, { state, attempt: id, busyMs: BUSY_MS })),
    /** Gives a sign of life. @returns whether this attempt may still open the gate */
    isCurrent: async (): Promise<boolean> =>
      (await on(runScript(touchAttempt, { state, attempt: id }))) === 'current',
    /** Ends the tokens of earlier generations on this server. */
    raiseGenerations: async (users: readonly Generation[]): Promise<void> => {
      await on(raiseOn({ keys }, users));
    },
    /** Gives up, so that the next attempt need not wait. */
    end: async (): Promise<void> => {
      await on(runScript(endAttempt, { state, attempt: id }));
    },
    /** The last number, the last one of a closed gate, and the time of Redis, in microseconds. */
    readClocks: async (): Promise<{ clock: number; late: number; now: number }> => {
      const [clock, late, now] = await on(runScript(readClocks, { state }));
      return { clock: Number(clock), late: Number(late), now: Number(now) };
    },
    /** @returns whether Redis has lost data, so that its last id is below the witness */
    isBehind: async (witness: number): Promise<boolean> =>
      Number((await on(({ redis }) => redis.hget(state, 'clock'))) ?? 0) < witness,
    /**
     * @param witness the highest command id that any consumer has handled. `found`: the clock as it was read. `start`: the clock
     * from now on
     * @returns 'lost' if Redis has lost data; 'superseded' if a later attempt began or Redis lost this attempt; 'changed' if
     * the clocks must be read again
     */
    open: (
      epoch: number,
      { witness, found, start }: { witness: number; found: number; start: number },
    ): Promise<'open' | 'lost' | 'superseded' | 'changed'> =>
      on(runScript(openAttempt, { state, verified, attempt: id, epoch, witness, found, start })),
    /**
     * Whether this server continues the history of another primary, and the milliseconds after which an
     * isolated cluster node refuses writes.
     */
    readFailover: (): Promise<{ isPromoted: boolean; nodeTimeoutMs: number }> =>
      on(async ({ redis }) => {
        const info = await redis.info();
        const isPromoted = /^master_replid2:.*[1-9a-f]/m.test(info) && !/^second_repl_offset:-1/m.test(info);
        if (!isPromoted || !/^cluster_enabled:1/m.test(info)) return { isPromoted, nodeTimeoutMs: 0 };
        // MemoryDB has no such setting and denies the command.
        const answer = await redis.config('GET', 'cluster-node-timeout').catch(() => []);
        return { isPromoted, nodeTimeoutMs: Array.isArray(answer) ? Number(answer[1] ?? 0) : 0 };
      }),
  };
};

export type OpeningAttempt = ReturnType<typeof createAttempt>;
