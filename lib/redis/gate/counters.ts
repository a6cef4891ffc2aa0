import { numberUpTo } from '#lib/domain/change.ts';
import { type CounterReference, counterReference, parseCounterReference } from '#lib/domain/reference.ts';
import type { RedisClient } from '../connection/client.ts';
import { guarded } from '../connection/guard.ts';
import type { Keys } from '../script/keys.ts';
import { defineScript, expecting, runScript } from '../script/script.ts';
import { gate, marks } from './gate.lua.ts';

export type DirtyKind = 'applications' | 'chats';
/** A counter that changed: an application's number of chats, or a chat's number of messages. */
export type Count = { token: string; chatNumber?: number; count: number };
/** 'missing': the application or chat does not exist, or is deleted. 'unknown': only MySQL knows. */
export type Counted = number | 'missing' | 'unknown';

/**
 * Reads trusted counters. After a loss of Redis, and until all are verified, these are the verified ones. A chat exists as
 * long as its application does. A mark is trusted at any time, because nothing undoes a deletion.
 */
const readCounters = defineScript(
  {
    uses: [gate, marks],
    keys: ['state', 'verified'],
    args: ['server'],
    each: { keys: ['counter', 'application'], args: ['member', 'token'] },
  },
  {
    before: 'local epoch, clock, _, verifying = readState(state, server)',
    each: /* lua */ `
  local count, chats = unpack(redis.call('MGET', counter, application))
  if isDeleted(count) or isDeleted(chats) then return 'missing' end
  if not epoch or not isVerified(verifying, verified, member) or not isVerified(verifying, verified, token) then
    return 'unknown'
  end
  return count and chats and count or 'missing'
`,
    after: "return { epoch and clock or '', results }",
  },
  expecting<[clock: string, counts: string[]]>,
);

/** Removes the mark of counters whose value MySQL has now. */
const clean = defineScript(
  { uses: [marks], keys: ['dirty'], each: { keys: ['counter'], args: ['member', 'written'] } },
  /* lua */ `
  local value = redis.call('GET', counter)
  if not exists(value) or value == written then redis.call('ZREM', dirty, member) end
`,
);

/** Reads counters, and the marks of changed ones. */
export const createCounters = ({ client, keys }: { client: RedisClient; keys: Keys }) => {
  /**
   * Counts by application or chat. `upTo`: a read that follows has every change up to it; undefined while the gate is closed,
   * and if the call was repeated, because it may then come after the reads that follow. @throws unavailable
   */
  const look = async (
    of: readonly CounterReference[],
  ): Promise<{ counts: Counted[]; upTo: number | undefined }> => {
    if (of.length === 0) return { counts: [], upTo: undefined };
    const call = runScript(
      readCounters,
      { state: keys.state, verified: keys.verified },
      of.map((one) => ({
        counter: keys.counter(one),
        application: keys.applicationCounter(one.token),
        member: counterReference(one),
        token: one.token,
      })),
    );
    let tries = 0;
    const [clock, found] = await guarded(client, (connection) => {
      tries += 1;
      return call(connection);
    });
    return {
      counts: found.map((value) => (value === 'missing' || value === 'unknown' ? value : Number(value))),
      upTo: clock === '' || tries > 1 ? undefined : numberUpTo(Number(clock)),
    };
  };
  const dirtyKey = (kind: DirtyKind) => (kind === 'chats' ? keys.dirtyChats : keys.dirtyApplications);

  return {
    /** Counts by application or chat. @throws unavailable */
    read: async (of: readonly CounterReference[]): Promise<Counted[]> => (await look(of)).counts,
    look,

    /**
     * Counters that changed since the last sync and not after `until` (ms), oldest change first. `skip` is
     * the number of counters that could not be synced in this run.
     */
    dirty: async (
      kind: DirtyKind,
      { until, skip, count }: { until: number; skip: number; count: number },
    ): Promise<Count[]> => {
      const members = await guarded(client, ({ redis }) =>
        redis.zrangebyscore(dirtyKey(kind), '-inf', until * 1000, 'LIMIT', skip, count),
      );
      const of = members.map(parseCounterReference);
      if (of.length === 0) return [];
      const values = await guarded(client, ({ redis }) => redis.mget(of.map(keys.counter)));
      // Neither a vanished counter nor a mark is a count.
      return of.map((one, i) => ({ ...one, count: Number(values[i]) || 0 }));
    },
    /** Removes the mark of counters whose value still equals the count in MySQL. */
    clean: async (kind: DirtyKind, counts: readonly Count[]): Promise<void> => {
      if (counts.length === 0) return;
      await guarded(
        client,
        runScript(
          clean,
          { dirty: dirtyKey(kind) },
          counts.map((one) => ({
            counter: keys.counter(one),
            member: counterReference(one),
            written: one.count,
          })),
        ),
      );
    },

    ping: async (): Promise<void> => {
      await guarded(client, ({ redis }) => redis.ping());
    },
  };
};

export type Counters = ReturnType<typeof createCounters>;
