import type { Connection, RedisClient } from './client.ts';
import { guarded } from './guard.ts';
import type { Keys } from './keys.ts';
import { runScript } from './script.ts';
import {
  noteField,
  settleApplications,
  settleChats,
  settleIndexed,
  settleMessages,
  settleMessageUpdates,
} from './settle.lua.ts';

type Ref = { token: string; chatNumber: number; messageNumber: number };
type SettledApplication = { commandId: number; token: string; creatorId?: number };
type SettledChat = { commandId: number; token: string; chatNumber: number };
/** `version`: of the stored row, which the index is to get; absent when nothing was stored. */
type SettledMessage = Ref & { commandId: number; createdAtMs: number; version?: number };
type SettledEdit = Ref & { commandId: number; version?: number };

/** One script call's share of a batch: some milliseconds of the server's time. */
const CHUNK = 500;
const chunks = function* <Item>(items: readonly Item[]): Generator<readonly Item[]> {
  for (let from = 0; from < items.length; from += CHUNK) yield items.slice(from, from + CHUNK);
};

const settledOf = <Settled>(stored: readonly Settled[], dead: readonly Settled[]) => [
  ...stored.map((one) => ({ ...one, stored: '1' })),
  ...dead.map((one) => ({ ...one, stored: '' })),
];

const toReference = ({ token, chatNumber, messageNumber }: Ref) => `${token}:${chatNumber}:${messageNumber}`;
const fromReference = (reference: string): Ref => {
  const [token = '', chatNumber, messageNumber] = reference.split(':');
  return { token, chatNumber: Number(chatNumber), messageNumber: Number(messageNumber) };
};

/** Accepted commands that MySQL does not have yet, and stored messages that the index does not have yet. */
export const createOutbox = ({ client, keys }: { client: RedisClient; keys: Keys }) => {
  const oldestId = async ({ redis }: Connection, queue: string): Promise<number | undefined> => {
    const [entry] = await redis.xrange(keys.outbox(queue), '-', '+', 'COUNT', 1);
    return entry === undefined ? undefined : Number(entry[0].split('-')[0]);
  };

  return {
    /** Commands that were set aside: they lie in the dead-letter queue now. */
    forget: async (queue: string, commandIds: readonly number[]): Promise<void> => {
      for (const chunk of chunks(commandIds)) {
        await guarded(client, async ({ redis }) => {
          // What the index is to get is no stream: its ids are scores.
          if (keys.outbox(queue) !== keys.indexOutbox) {
            await redis.xdel(keys.outbox(queue), ...chunk.map((id) => `${id}-0`));
            return;
          }
          await Promise.all(chunk.map((id) => redis.zremrangebyscore(keys.indexOutbox, id, id)));
        });
      }
    },

    /** @param dead set aside: not stored */
    settleApplications: async (
      queue: string,
      stored: readonly SettledApplication[],
      dead: readonly SettledApplication[],
    ): Promise<void> => {
      for (const chunk of chunks(settledOf(stored, dead))) {
        await guarded(client, (connection) =>
          runScript(
            connection,
            settleApplications,
            [
              keys.outbox(queue),
              ...chunk.flatMap(({ token, creatorId }) => [
                keys.application(token),
                keys.pendingApplications(creatorId ?? 0),
                keys.applicationCounter(token),
              ]),
            ],
            chunk.flatMap(({ commandId, token, stored }) => [commandId, token, stored]),
          ),
        );
      }
    },

    /** @param dead set aside: not stored */
    settleChats: async (stored: readonly SettledChat[], dead: readonly SettledChat[]): Promise<void> => {
      for (const chunk of chunks(settledOf(stored, dead))) {
        await guarded(client, (connection) =>
          runScript(
            connection,
            settleChats,
            [
              keys.outbox('create-chat'),
              keys.dirtyApplications,
              ...chunk.flatMap(({ token, chatNumber }) => [
                keys.pendingChats(token),
                keys.applicationCounter(token),
                keys.chatCounter(token, chatNumber),
              ]),
            ],
            chunk.flatMap(({ commandId, chatNumber, token, stored }) => [
              commandId,
              chatNumber,
              token,
              stored,
            ]),
          ),
        );
      }
    },

    settleMessages: async (settled: readonly SettledMessage[]): Promise<void> => {
      for (const chunk of chunks(settled)) {
        await guarded(client, (connection) =>
          runScript(
            connection,
            settleMessages,
            [
              keys.state,
              keys.outbox('create-message'),
              keys.indexOutbox,
              keys.dirtyChats,
              ...chunk.flatMap(({ token, chatNumber }) => [
                keys.windowOrder(token, chatNumber),
                keys.windowEntries(token, chatNumber),
                keys.pendingOrder(token, chatNumber),
                keys.pendingIds(token, chatNumber),
                keys.chatCounter(token, chatNumber),
              ]),
            ],
            chunk.flatMap((message) => [
              message.commandId,
              message.messageNumber,
              message.createdAtMs,
              message.version === undefined ? '' : toReference(message),
              message.version ?? 0,
              `${message.token}:${message.chatNumber}`,
            ]),
          ),
        );
      }
    },

    settleMessageUpdates: async (settled: readonly SettledEdit[]): Promise<void> => {
      for (const chunk of chunks(settled)) {
        await guarded(client, (connection) =>
          runScript(
            connection,
            settleMessageUpdates,
            [
              keys.state,
              keys.outbox('update-message'),
              keys.indexOutbox,
              ...chunk.flatMap(({ token, chatNumber }) => [
                keys.windowOrder(token, chatNumber),
                keys.windowEntries(token, chatNumber),
                keys.pendingOrder(token, chatNumber),
                keys.pendingIds(token, chatNumber),
                keys.pendingEdits(token, chatNumber),
              ]),
            ],
            chunk.flatMap((edit) => [
              edit.commandId,
              edit.messageNumber,
              edit.version === undefined ? '' : toReference(edit),
              edit.version ?? 0,
            ]),
          ),
        );
      }
    },

    settleIndexed: async (indexed: readonly (Ref & { version: number })[]): Promise<void> => {
      for (const chunk of chunks(indexed)) {
        await guarded(client, (connection) =>
          runScript(
            connection,
            settleIndexed,
            [keys.indexOutbox],
            chunk.flatMap((message) => [toReference(message), message.version]),
          ),
        );
      }
    },

    /** Commands accepted before `olderThan` (microseconds), oldest first, after the command `after`. */
    commands: async (
      queue: string,
      { after, olderThan, count }: { after: number; olderThan: number; count: number },
    ): Promise<{ commandId: number; command: string }[]> => {
      if (after >= olderThan) return [];
      const entries = await guarded(client, ({ redis }) =>
        redis.xrange(keys.outbox(queue), `(${after}-0`, `${olderThan}-0`, 'COUNT', count),
      );
      return entries.map(([id, fields]) => ({
        commandId: Number(id.split('-')[0]),
        command: fields[1] ?? '',
      }));
    },

    /** Messages written before `olderThan` (microseconds) that the index has not confirmed, oldest first. */
    unindexed: async ({
      after,
      olderThan,
      count,
    }: {
      after: number;
      olderThan: number;
      count: number;
    }): Promise<(Ref & { version: number })[]> => {
      const found = await guarded(client, ({ redis }) =>
        redis.zrange(
          keys.indexOutbox,
          `(${after}`,
          String(olderThan),
          'BYSCORE',
          'LIMIT',
          0,
          count,
          'WITHSCORES',
        ),
      );
      const refs: (Ref & { version: number })[] = [];
      for (let i = 0; i < found.length; i += 2) {
        refs.push({ ...fromReference(found[i] ?? ''), version: Number(found[i + 1]) });
      }
      return refs;
    },

    /** The newest pass through an outbox: when it began (ms since the epoch), and up to which command it has got. */
    relayed: async (queue: string): Promise<{ upTo: number; atMs: number }> => {
      const [upTo, at] =
        (await guarded(client, ({ redis }) => redis.hget(keys.relayed, queue)))?.split('@') ?? [];
      return { upTo: Number(upTo ?? 0), atMs: Number(at ?? 0) };
    },
    noteRelayed: async (queue: string, { upTo, atMs }: { upTo: number; atMs: number }): Promise<void> => {
      await guarded(client, (connection) =>
        runScript(connection, noteField, [keys.relayed], [queue, `${upTo}@${atMs}`]),
      );
    },

    /** The oldest write (microseconds) of these outboxes that is still on the way, if any. */
    oldest: async (queues: readonly string[]): Promise<number | undefined> => {
      const found = await guarded(client, (connection) =>
        Promise.all([
          ...queues.map((queue) => oldestId(connection, queue)),
          connection.redis
            .zrange(keys.indexOutbox, 0, '0', 'WITHSCORES')
            .then(([, version]) => (version === undefined ? undefined : Number(version))),
        ]),
      );
      const ids = found.filter((id) => id !== undefined);
      return ids.length === 0 ? undefined : Math.min(...ids);
    },

    depths: async (queues: readonly string[]): Promise<Record<string, number>> => {
      const found = await guarded(client, ({ redis }) =>
        Promise.all([
          ...queues.map(async (queue) => [queue, await redis.xlen(keys.outbox(queue))] as const),
          redis.zcard(keys.indexOutbox).then((count) => ['index-message', count] as const),
        ]),
      );
      return Object.fromEntries(found);
    },
  };
};

export type Outbox = ReturnType<typeof createOutbox>;
