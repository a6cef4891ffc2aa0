import { gather } from '#lib/concurrency/gather.ts';
import { NUMBER_STEP, numberUpTo } from '#lib/domain/change.ts';
import { type CounterReference, counterReference } from '#lib/domain/reference.ts';
import type { RedisClient } from '../connection/client.ts';
import { guarded } from '../connection/guard.ts';
import type { Keys } from '../script/keys.ts';
import { defineScript, expecting, runScript } from '../script/script.ts';
import { gate, marks, numbers } from './gate.lua.ts';
import { createAttempt, type OpeningAttempt } from './opening-attempt.ts';

/** The progress of the verification of all counters: the last row's id of each table. */
export type VerificationProgress = { reservations: number; applications: number; chats: number };

/** A counter and MySQL's value; undefined if MySQL has neither the item nor a reservation. */
export type Verifiable = CounterReference & { count: number | 'deleted' | undefined };

/** The shortest interval between two requests for a recovery. */
const ASKED_MS = 1_000;

const readStatus = defineScript(
  { uses: [gate], keys: ['state'], args: ['server'] },
  /* lua */ `
local epoch, _, lost, verifying, _, progress = readState(state, server)
return { epoch or '', lost or '', verifying or '', progress or '' }
`,
  expecting<[epoch: string, lost: string, verifying: string, progress: string]>,
);

/**
 * Tries what every accepting script does before its first write, and a write without an effect. A server that is full,
 * read-only or unable to write to its disk refuses that write. Gives no number and changes nothing.
 */
const tryNumbering = defineScript(
  { uses: [gate], keys: ['state', 'nothing'], args: ['server'], each: { keys: ['outbox'] } },
  {
    before: /* lua */ `
local epoch, clock = readState(state, server)
local answer = not epoch and 'closed' or isAhead(clock) and 'ahead' or 'open'
`,
    each: /* lua */ `
  if redis.call('EXISTS', outbox) == 0 then return end
  local facts = redis.call('XINFO', 'STREAM', outbox)
  for i = 1, #facts, 2 do
    if facts[i] == 'last-generated-id' and isAhead(string.match(facts[i + 1], '^%d+')) then answer = 'ahead' end
  end
`,
    after: /* lua */ `
redis.call('SET', nothing, '', 'XX')
return answer
`,
  },
  expecting<'open' | 'closed' | 'ahead'>,
);

/**
 * Raises the clock, so that a later restart shows whether Redis has lost earlier changes. Without an open gate it does
 * not, because that would hide a loss.
 */
const raiseClock = defineScript(
  { uses: [gate], keys: ['state'], args: ['server', 'micros'] },
  /* lua */ `
local epoch, clock = readState(state, server)
if epoch and not isAhead(micros) and tonumber(clock or '0') < tonumber(micros) then
  -- A server at its maxmemory refuses a script whose first write adds, and a refusal here would return a whole batch.
  redis.call('HDEL', state, '')
  redis.call('HSET', state, 'clock', micros)
end
return 'OK'
`,
);

/**
 * Raises counters to the values of MySQL, creates missing ones, and marks them as verified. `count` is empty
 * if MySQL has no value; then only an existing counter is marked. It is `deleted` if MySQL has deleted the item. Returns
 * closed, or for each counter raised · kept · missing.
 */
const raiseCounters = defineScript(
  {
    uses: [gate, numbers, marks],
    keys: ['state', 'verified', 'dirtyApplications', 'dirtyChats'],
    args: ['server', 'lost', 'mark'],
    each: { keys: ['counter'], args: ['member', 'count'] },
  },
  {
    before: /* lua */ `
local epoch, _, _, verifying = readState(state, server)
if not epoch or verifying ~= lost then return { 'closed' } end
`,
    each: /* lua */ `
  local value = redis.call('GET', counter)
  if not value and count == '' then return 'missing' end
  local dirty = string.find(member, ':', 1, true) and dirtyChats or dirtyApplications
  if isDeleted(value) or isDeleted(count) then
    -- Of many deleted items, only those get a mark that Redis knows or somebody asks for. MySQL may not have the deletion yet.
    if isDeleted(count) and (value or mark == '1') then markStored(counter, dirty, member) end
    if mark == '1' then redis.call('SADD', verified, member) end
    return 'missing'
  end
  local isRaised = count ~= '' and tonumber(value or '-1') < tonumber(count)
  if isRaised then
    redis.call('SET', counter, count)
    if count ~= '0' then redis.call('ZADD', dirty, text(nowMicros()), member) end
  end
  if mark == '1' then redis.call('SADD', verified, member) end
  return isRaised and 'raised' or 'kept'
`,
  },
  expecting<string[]>,
);

/** Saves the progress of the verification. Without a place it is complete, and all counters are trusted. */
const saveProgress = defineScript(
  { uses: [gate], keys: ['state', 'verified'], args: ['server', 'lost', 'progress'] },
  /* lua */ `
local epoch, _, _, verifying = readState(state, server)
if not epoch or verifying ~= lost then return 'closed' end
if progress ~= '' then
  redis.call('HSET', state, 'progress', progress)
else
  redis.call('HDEL', state, 'progress', 'verifying')
  redis.call('UNLINK', verified)
end
return 'saved'
`,
  expecting<'saved' | 'closed'>,
);

const NOWHERE: VerificationProgress = { reservations: 0, applications: 0, chats: 0 };

/** Reads and opens the gate, without which no number is given. */
export const createGate = ({ client, keys }: { client: RedisClient; keys: Keys }) => {
  const { state, verified } = keys;

  const readEpoch = async (): Promise<string | undefined> =>
    (await guarded(client, ({ redis, server }) => redis.hget(state, `run:${server}`))) ?? undefined;
  /** Raises counters, and marks them as verified if `mark` is '1'. @returns an answer for each, or only 'closed' */
  const raiseAll = (counts: readonly Verifiable[], lost: string, mark: '1' | ''): Promise<string[]> => {
    const { dirtyApplications, dirtyChats } = keys;
    const items = counts.map((of) => ({
      counter: keys.counter(of),
      member: counterReference(of),
      count: of.count ?? '',
    }));
    return guarded(
      client,
      runScript(raiseCounters, { state, verified, dirtyApplications, dirtyChats, lost, mark }, items),
    );
  };
  const isOpenIn = gather(
    async (epochs: readonly string[]) => {
      const current = await readEpoch();
      return epochs.map((epoch) => epoch === current);
    },
    { size: Number.POSITIVE_INFINITY },
  );

  return {
    /** `verifying`: the epoch for which counters are being verified, and the progress. */
    status: async (): Promise<{
      isOpen: boolean;
      verifying: { lost: string; progress: VerificationProgress } | undefined;
    }> => {
      const [epoch, , verifying, progress] = await guarded(client, runScript(readStatus, { state }));
      return {
        isOpen: epoch !== '',
        verifying:
          verifying === ''
            ? undefined
            : { lost: verifying, progress: progress === '' ? NOWHERE : JSON.parse(progress) },
      };
    },

    /** @returns the newest epoch of an opening that Redis remembers, or 0 */
    newestEpoch: async (): Promise<number> => {
      const fields = Object.entries(await guarded(client, ({ redis }) => redis.hgetall(state)));
      const epochs = fields.filter(([name]) => name.startsWith('run:') || name === 'lost');
      return Math.max(0, ...epochs.map(([, epoch]) => Number(epoch)));
    },

    /**
     * Tries whether writes could be numbered, without a write. 'ahead': the last id is more than a day ahead.
     * @throws unavailable, or the error of a script that meets a key of another type
     */
    tryNumbering: (queues: readonly string[]): Promise<'open' | 'closed' | 'ahead'> =>
      guarded(
        client,
        runScript(
          tryNumbering,
          { state, nothing: keys.nothing },
          queues.map((queue) => ({ outbox: keys.outbox(queue) })),
        ),
      ),

    /** Notes that consumers have handled commands of other programs until `micros`. @throws unavailable */
    raiseClock: async (micros: number): Promise<void> => {
      await guarded(client, runScript(raiseClock, { state, micros: numberUpTo(micros + NUMBER_STEP - 1) }));
    },

    /**
     * Whether the gate is open in this epoch on the current primary. Callers of one turn of the event loop share one call,
     * which is sent after the last of them.
     */
    isOpenIn,

    /** @returns true for one caller per interval, which starts a recovery */
    isFirstToAsk: async (): Promise<boolean> =>
      (await guarded(client, ({ redis }) => redis.set(keys.recoveryAsked, '1', 'PX', ASKED_MS, 'NX'))) ===
      'OK',

    /** Creates an attempt for the server run behind the current connection. Begins nothing yet. */
    attempt: async (): Promise<OpeningAttempt> =>
      createAttempt(await guarded(client, async (connection) => connection), keys),

    /**
     * Raises counters to the values of MySQL and marks them as verified.
     * @returns 'missing' if Redis has no counter of one either, or if it is deleted; 'closed' if the epoch has changed
     */
    verify: async (
      counts: readonly Verifiable[],
      lost: string,
    ): Promise<'verified' | 'missing' | 'closed'> => {
      const answers = await raiseAll(counts, lost, '1');
      if (answers.includes('closed')) return 'closed';
      return answers.includes('missing') ? 'missing' : 'verified';
    },

    /** Verifies many counters. @returns the number of raised ones; undefined if the epoch has changed */
    raise: async (counts: readonly Verifiable[], lost: string): Promise<number | undefined> => {
      if (counts.length === 0) return 0;
      const answers = await raiseAll(counts, lost, '');
      return answers[0] === 'closed' ? undefined : answers.filter((answer) => answer === 'raised').length;
    },

    /** @param progress undefined when all counters are verified. @returns false if the epoch has changed */
    saveProgress: async (progress: VerificationProgress | undefined, lost: string): Promise<boolean> =>
      (await guarded(
        client,
        runScript(saveProgress, {
          state,
          verified,
          lost,
          progress: progress === undefined ? '' : JSON.stringify(progress),
        }),
      )) === 'saved',
  };
};

export type Gate = ReturnType<typeof createGate>;
