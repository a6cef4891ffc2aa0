import { randomUUID } from 'node:crypto';
import type { Connection, RedisClient } from './client.ts';
import { gateLua } from './gate.lua.ts';
import { guarded } from './guard.ts';
import { chatMember, type Keys } from './keys.ts';
import { defineScript, expecting, runScript } from './script.ts';

/** A counter: of an application's chats, or of a chat's messages. */
export type CounterOf = { token: string; chatNumber?: number | undefined };
/** How far the comparison of all counters with MySQL has got: the last row's id of each table. */
export type Walked = { reservations: number; applications: number; chats: number };

/** Other callers leave a recovery alone for so long after its last sign of life. */
const BUSY_MS = 3_000;
/** One call for a recovery is enough for so long. */
const ASKED_MS = 1_000;
/** Openings are kept for so many connections to a server without a run id. */
const MAX_UNIDENTIFIED = 1_000;

const readStatus = defineScript(
  { keys: ['state'], args: ['server'] },
  /* lua */ `
${gateLua}
local epoch, lost, verifying, walked = unpack(
  redis.call('HMGET', state, 'run:' .. server, 'lost', 'verifying', 'walked'))
if not epoch then closed(state, server) end
return { epoch or '', lost or '', verifying or '', walked or '' }
`,
  expecting<[epoch: string, lost: string, verifying: string, walked: string]>,
);

/**
 * Notes the attempt; a gate that is open stays as it is. A server without a run id is closed for all its connections:
 * it can no longer be told which of them still lead to the same run. Answers open · busy · the connections to open for.
 */
const beginAttempt = defineScript(
  { keys: ['state'], args: ['server', 'attempt', 'busyMs'] },
  /* lua */ `
${gateLua}
if redis.call('HEXISTS', state, 'run:' .. server) == 1 then return { 'open' } end
local at = tonumber(redis.call('HGET', state, 'attempt-at'))
local now = nowMicros()
if at and at <= now and now - at < busyMs * 1000 then return { 'busy' } end
redis.call('HSET', state, 'attempt', attempt, 'attempt-at', text(now))
local connections = { 'begun' }
if string.sub(server, 1, 2) ~= 'c:' then return connections end
for _, field in ipairs(redis.call('HKEYS', state)) do
  local wanting = string.match(field, '^wants:(.+)$') or string.match(field, '^run:(c:.+)$')
  if wanting and #connections <= ${MAX_UNIDENTIFIED} then connections[#connections + 1] = wanting end
  if wanting or string.match(field, '^run:') then redis.call('HDEL', state, field) end
end
return connections
`,
  expecting<['open' | 'busy'] | ['begun', ...string[]]>,
);

const touchAttempt = defineScript(
  { keys: ['state'], args: ['attempt'] },
  /* lua */ `
${gateLua}
if redis.call('HGET', state, 'attempt') ~= attempt then return 'superseded' end
redis.call('HSET', state, 'attempt-at', text(nowMicros()))
return 'current'
`,
  expecting<'current' | 'superseded'>,
);

/** Leaves the way to others: an attempt that failed would seem to be under way for a while. */
const endAttempt = defineScript(
  { keys: ['state'], args: ['attempt'] },
  /* lua */ `
if redis.call('HGET', state, 'attempt') == attempt then redis.call('HDEL', state, 'attempt', 'attempt-at') end
return 'OK'
`,
);

/**
 * Opens the gate in this epoch. A clock below the witness tells that Redis has lost something: it is raised first, and
 * from then on no counter is used that was not compared with MySQL. Answers open · lost · superseded.
 */
const openAttempt = defineScript(
  { keys: ['state', 'verified'], args: ['server', 'attempt', 'epoch', 'witness'], each: { args: ['other'] } },
  {
    before: /* lua */ `
if redis.call('HGET', state, 'attempt') ~= attempt then return 'superseded' end
local isBehind = tonumber(redis.call('HGET', state, 'clock') or '0') < tonumber(witness)
if isBehind then
  redis.call('HSET', state, 'clock', witness, 'behind', witness, 'lost', epoch, 'verifying', epoch)
  redis.call('HDEL', state, 'walked')
  redis.call('DEL', verified)
end
for _, field in ipairs(redis.call('HKEYS', state)) do
  if string.match(field, '^run:') or field == 'attempt' or field == 'attempt-at' then redis.call('HDEL', state, field) end
end
redis.call('HSET', state, 'run:' .. server, epoch)
`,
    each: "redis.call('HSET', state, 'run:' .. other, epoch)",
    after: "return isBehind and 'lost' or 'open'",
  },
  expecting<'open' | 'lost' | 'superseded'>,
);

/**
 * Brings counters up to what MySQL knows, those that are missing too. `count` is empty where MySQL knows nothing: only a
 * counter that exists is marked then. Answers closed, or for each raised · kept · missing.
 */
const raiseCounters = defineScript(
  {
    keys: ['state', 'verified', 'dirtyApplications', 'dirtyChats'],
    args: ['server', 'lost', 'mark'],
    each: { keys: ['counter'], args: ['member', 'count'] },
  },
  {
    before: /* lua */ `
${gateLua}
local epoch, verifying = unpack(redis.call('HMGET', state, 'run:' .. server, 'verifying'))
if not epoch or verifying ~= lost then return closed(state, server) end
`,
    each: /* lua */ `
  local value = redis.call('GET', counter)
  if not value and count == '' then return 'missing' end
  local isRaised = count ~= '' and tonumber(value or '-1') < tonumber(count)
  if isRaised then
    redis.call('SET', counter, count)
    local dirty = string.find(member, ':', 1, true) and dirtyChats or dirtyApplications
    if count ~= '0' then redis.call('ZADD', dirty, text(nowMicros()), member) end
  end
  if mark == '1' then redis.call('SADD', verified, member) end
  return isRaised and 'raised' or 'kept'
`,
  },
  expecting<string[]>,
);

/** Notes how far the comparison has got; without a place it is over, and every counter can be trusted. */
const noteWalked = defineScript(
  { keys: ['state', 'verified'], args: ['server', 'lost', 'walked'] },
  /* lua */ `
local epoch, verifying = unpack(redis.call('HMGET', state, 'run:' .. server, 'verifying'))
if not epoch or verifying ~= lost then return 'closed' end
if walked ~= '' then
  redis.call('HSET', state, 'walked', walked)
else
  redis.call('HDEL', state, 'walked', 'verifying')
  redis.call('UNLINK', verified)
end
return 'noted'
`,
  expecting<'noted' | 'closed'>,
);

const NOWHERE: Walked = { reservations: 0, applications: 0, chats: 0 };

/** The gate before numbering: in which epoch it is open, and how it is opened. */
export const createGate = ({ client, keys }: { client: RedisClient; keys: Keys }) => {
  const { state, verified } = keys;
  const keyOf = ({ token, chatNumber }: CounterOf) =>
    chatNumber === undefined ? keys.applicationCounter(token) : keys.chatCounter(token, chatNumber);
  const memberOf = ({ token, chatNumber }: CounterOf) =>
    chatNumber === undefined ? token : chatMember(token, chatNumber);

  const readEpoch = async (): Promise<string | undefined> =>
    (await guarded(client, ({ redis, server }) => redis.hget(state, `run:${server}`))) ?? undefined;
  let nextAnswer: Promise<string | undefined> | undefined;

  /** One attempt, bound to one socket: what it opens is the server run that it began with. */
  const attemptOn = (connection: Connection) => {
    const { server } = connection;
    const on = <Result>(work: (connection: Connection) => Promise<Result>) =>
      guarded({ connection: async () => connection }, work, { tries: 1 });
    const id = randomUUID();
    let others: string[] = [];
    return {
      server,
      /** @returns 'open' when there is nothing to do, 'busy' when another attempt is under way */
      begin: async (): Promise<'begun' | 'open' | 'busy'> => {
        const [answer, ...connections] = await on((connection) =>
          runScript(connection, beginAttempt, { state, server, attempt: id, busyMs: BUSY_MS }),
        );
        others = connections.filter((other) => other !== server);
        return answer;
      },
      /** Keeps others from beginning. @returns whether this attempt may still open the gate */
      isCurrent: async (): Promise<boolean> =>
        (await on((connection) => runScript(connection, touchAttempt, { state, attempt: id }))) === 'current',
      /** Gives up: the next attempt need not wait. */
      end: async (): Promise<void> => {
        await on((connection) => runScript(connection, endAttempt, { state, attempt: id }));
      },
      /**
       * @param witness the highest command id that any consumer has handled
       * @returns 'lost' when Redis was behind it; 'superseded' when a later attempt began, or Redis lost this one
       */
      open: (epoch: number, witness: number): Promise<'open' | 'lost' | 'superseded'> =>
        on((connection) =>
          runScript(
            connection,
            openAttempt,
            { state, verified, server, attempt: id, epoch, witness },
            others.map((other) => ({ other })),
          ),
        ),
      /**
       * Whether this server goes on with another primary's history, and the milliseconds after which a node of a cluster
       * that lost its peers takes no writes any more. Nothing is known of a server that denies `INFO`.
       */
      readFailover: (): Promise<{ isPromoted: boolean; nodeTimeoutMs: number }> =>
        on(async ({ redis }) => {
          const info = await redis.info().catch(() => '');
          const isPromoted =
            /^master_replid2:.*[1-9a-f]/m.test(info) && !/^second_repl_offset:-1/m.test(info);
          if (!isPromoted || !/^cluster_enabled:1/m.test(info)) return { isPromoted, nodeTimeoutMs: 0 };
          // MemoryDB has no such setting, and denies the question.
          const answer = await redis.config('GET', 'cluster-node-timeout').catch(() => []);
          return { isPromoted, nodeTimeoutMs: Array.isArray(answer) ? Number(answer[1] ?? 0) : 0 };
        }),
    };
  };

  return {
    /** `verifying`: the epoch for which counters are being compared with MySQL, and how far that has got. */
    status: async (): Promise<{
      isOpen: boolean;
      verifying: { lost: string; walked: Walked } | undefined;
    }> => {
      const [epoch, , verifying, walked] = await guarded(client, (connection) =>
        runScript(connection, readStatus, { state, server: connection.server }),
      );
      return {
        isOpen: epoch !== '',
        verifying:
          verifying === ''
            ? undefined
            : { lost: verifying, walked: walked === '' ? NOWHERE : JSON.parse(walked) },
      };
    },

    /**
     * Whether the gate is open in this epoch now, on the server that writes go to now. Asks once for all callers of a
     * moment, after the last of them came.
     */
    isOpenIn: (epoch: string): Promise<boolean> => {
      nextAnswer ??= new Promise((resolve, reject) => {
        process.nextTick(() => {
          nextAnswer = undefined;
          readEpoch().then(resolve, reject);
        });
      });
      return nextAnswer.then((current) => current === epoch);
    },

    /** @returns true for the one caller of a moment that is to start a recovery */
    isFirstToAsk: async (): Promise<boolean> =>
      (await guarded(client, ({ redis }) => redis.set(keys.recoveryAsked, '1', 'PX', ASKED_MS, 'NX'))) ===
      'OK',

    attempt: async () => attemptOn(await guarded(client, async (connection) => connection)),

    /**
     * Brings a counter up to what MySQL knows and trusts it from then on.
     * @param count undefined when MySQL does not know what it counts
     * @returns 'missing' when Redis does not know it either, 'closed' when this is not the epoch any more
     */
    verify: async (
      of: CounterOf,
      count: number | undefined,
      lost: string,
    ): Promise<'verified' | 'missing' | 'closed'> => {
      const [answer] = await guarded(client, (connection) =>
        runScript(
          connection,
          raiseCounters,
          {
            state,
            verified,
            dirtyApplications: keys.dirtyApplications,
            dirtyChats: keys.dirtyChats,
            server: connection.server,
            lost,
            mark: '1',
          },
          [{ counter: keyOf(of), member: memberOf(of), count: count ?? '' }],
        ),
      );
      return answer === 'missing' || answer === 'closed' ? answer : 'verified';
    },

    /** Brings many counters up, those that are missing too. @returns how many were raised; undefined: not the epoch any more */
    raise: async (
      counts: readonly (CounterOf & { count: number })[],
      lost: string,
    ): Promise<number | undefined> => {
      if (counts.length === 0) return 0;
      const answers = await guarded(client, (connection) =>
        runScript(
          connection,
          raiseCounters,
          {
            state,
            verified,
            dirtyApplications: keys.dirtyApplications,
            dirtyChats: keys.dirtyChats,
            server: connection.server,
            lost,
            mark: '',
          },
          counts.map((of) => ({ counter: keyOf(of), member: memberOf(of), count: of.count })),
        ),
      );
      return answers[0] === 'closed' ? undefined : answers.filter((answer) => answer === 'raised').length;
    },

    /** @param walked undefined when everything was compared. @returns false when this is not the epoch any more */
    noteWalked: async (walked: Walked | undefined, lost: string): Promise<boolean> =>
      (await guarded(client, (connection) =>
        runScript(connection, noteWalked, {
          state,
          verified,
          server: connection.server,
          lost,
          walked: walked === undefined ? '' : JSON.stringify(walked),
        }),
      )) === 'noted',
  };
};

export type Gate = ReturnType<typeof createGate>;
