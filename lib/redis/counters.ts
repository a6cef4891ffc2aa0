import type { RedisClient } from './client.ts';
import { guarded } from './guard.ts';
import type { Keys } from './keys.ts';
import { forgetApplications, gateStatus, openGate, raiseCounters } from './recover.lua.ts';
import { runScript } from './script.ts';
import { note, settleCounts } from './settle.lua.ts';

export type DirtyKind = 'applications' | 'chats';
/** A counter that moved: an application's number of chats, or a chat's number of messages. */
export type Count = { token: string; chatNumber?: number; count: number };

/** Several times as long as a deferred command stays away. */
const DEFERRAL_SECONDS = 10;
const BARRIER_SECONDS = 3_600;

/** The counters, the gate before them, and the marks of those that moved. */
export const createCounters = ({ client, keys }: { client: RedisClient; keys: Keys }) => {
  const counterKey = ({ token, chatNumber }: { token: string; chatNumber?: number }) =>
    chatNumber === undefined ? keys.applicationCounter(token) : keys.chatCounter(token, chatNumber);
  const dirtyKey = (kind: DirtyKind) => (kind === 'chats' ? keys.dirtyChats : keys.dirtyApplications);
  const member = ({ token, chatNumber }: { token: string; chatNumber?: number }) =>
    chatNumber === undefined ? token : `${token}:${chatNumber}`;
  const fromMember = (text: string): { token: string; chatNumber?: number } => {
    const [token = '', chatNumber] = text.split(':');
    return chatNumber === undefined ? { token } : { token, chatNumber: Number(chatNumber) };
  };

  return {
    /** `open` when numbers may be given. Else since when not, and the server's run to recover for. */
    gate: async (): Promise<{ open: true } | { open: false; closedForMs: number; run: string }> => {
      const [status, micros, run] = (await guarded(client, (connection) =>
        runScript(connection, gateStatus, [keys.state], []),
      )) as ['open' | 'closed', string, string];
      return status === 'open' ? { open: true } : { open: false, closedForMs: Number(micros) / 1000, run };
    },
    openGate: async (run: string): Promise<'open' | 'restarted'> =>
      (await guarded(client, (connection) => runScript(connection, openGate, [keys.state], [run]))) as
        | 'open'
        | 'restarted',
    /** Counts by application or chat; undefined where Redis has none. */
    read: async (of: { token: string; chatNumber?: number }[]): Promise<(number | undefined)[]> => {
      if (of.length === 0) return [];
      const values = await guarded(client, ({ redis }) => redis.mget(of.map(counterKey)));
      return values.map((value) => (value === null ? undefined : Number(value)));
    },
    /** Brings counters up to at least these values, those that are missing too. @returns how many were raised */
    raise: async (counts: Count[]): Promise<number> => {
      if (counts.length === 0) return 0;
      return Number(
        await guarded(client, (connection) =>
          runScript(
            connection,
            raiseCounters,
            counts.map(counterKey),
            counts.map(({ count }) => count),
          ),
        ),
      );
    },
    /** Forgets names that were kept from before the gate closed, while it is closed: MySQL must have them. */
    forgetApplications: async (tokens: string[]): Promise<void> => {
      if (tokens.length === 0) return;
      await guarded(client, (connection) =>
        runScript(connection, forgetApplications, [keys.state, ...tokens.map(keys.application)], []),
      );
    },

    markDirty: async (kind: DirtyKind, of: { token: string; chatNumber?: number }[]): Promise<void> => {
      if (of.length === 0) return;
      const now = Date.now() * 1000;
      await guarded(client, ({ redis }) =>
        redis.zadd(dirtyKey(kind), ...of.flatMap((one) => [now, member(one)])),
      );
    },
    /**
     * Counters that moved since the last sync but not after `until` (ms), longest ago first; `skip` those that could not
     * be synced in this run.
     */
    dirty: async (
      kind: DirtyKind,
      { until, skip, count }: { until: number; skip: number; count: number },
    ): Promise<Count[]> => {
      const members = await guarded(client, ({ redis }) =>
        redis.zrangebyscore(dirtyKey(kind), '-inf', until * 1000, 'LIMIT', skip, count),
      );
      const of = members.map(fromMember);
      if (of.length === 0) return [];
      const values = await guarded(client, ({ redis }) => redis.mget(of.map(counterKey)));
      return of.map((one, i) => ({ ...one, count: Number(values[i] ?? 0) }));
    },
    /** Takes the mark from those whose count is still what MySQL was given. */
    clean: async (kind: DirtyKind, counts: Count[]): Promise<void> => {
      if (counts.length === 0) return;
      await guarded(client, (connection) =>
        runScript(
          connection,
          settleCounts,
          [dirtyKey(kind)],
          counts.flatMap((count) => [member(count), counterKey(count), count.count]),
        ),
      );
    },

    /** Barriers: a mark that went through a queue behind everything that was in it. */
    passBarrier: async (id: string): Promise<void> => {
      await guarded(client, (connection) =>
        runScript(connection, note, [keys.barrier(id)], [BARRIER_SECONDS]),
      );
    },
    hasPassedBarrier: async (id: string): Promise<boolean> =>
      (await guarded(client, ({ redis }) => redis.exists(keys.barrier(id)))) === 1,
    /** Commands of this queue wait for a parent: they are neither in the queue nor stored for a while. */
    noteDeferral: async (queue: string): Promise<void> => {
      await guarded(client, (connection) =>
        runScript(connection, note, [keys.deferred(queue)], [DEFERRAL_SECONDS]),
      );
    },
    deferredLately: async (queue: string): Promise<boolean> =>
      (await guarded(client, ({ redis }) => redis.exists(keys.deferred(queue)))) === 1,
    ping: async (): Promise<void> => {
      await guarded(client, ({ redis }) => redis.ping());
    },
  };
};

export type Counters = ReturnType<typeof createCounters>;
