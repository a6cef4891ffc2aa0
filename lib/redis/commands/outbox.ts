import { guarded } from '../connection/guard.ts';
import { gateLua } from '../gate/gate.lua.ts';
import { defineScript, runScript } from '../script/script.ts';
import type { Cell } from './accepting-script.ts';
import { chunks } from './chunks.ts';
import { type SettledChats, settleChats } from './create-chat.ts';
import { type SettledMessage, settleMessages } from './create-message.ts';
import { type Indexed, settleIndexed } from './index-message.ts';
import { type SettledApplications, settleApplications } from './settle-applications.ts';
import { type SettledEdit, settleMessageUpdates } from './update-message.ts';

/** Removes entries with this id and text. */
const forget = defineScript(
  { keys: ['outbox'], each: { args: ['id', 'digest'] } },
  {
    before: gateLua,
    each: "if isInOutbox(outbox, id, digest) then redis.call('XDEL', outbox, id .. '-0') end",
  },
);

const fromReference = (reference: string) => {
  const [token = '', chatNumber, messageNumber] = reference.split(':');
  return { token, chatNumber: Number(chatNumber), messageNumber: Number(messageNumber) };
};

/**
 * Accepted commands that MySQL does not have yet, and stored messages that the index does not have yet.
 *
 * Each settling script begins with a removal. A Redis at its `maxmemory` refuses scripts whose first write adds data, and
 * a script that frees memory must run.
 */
export const createOutbox = (cell: Cell) => {
  const { client, keys } = cell;

  /** The oldest pending write (microseconds) of a queue, if any. */
  const oldestId = (queue: string): Promise<number | undefined> =>
    guarded(client, async ({ redis }) => {
      if (keys.outbox(queue) === keys.indexOutbox) {
        const [, version] = await redis.zrange(keys.indexOutbox, 0, '0', 'WITHSCORES');
        return version === undefined ? undefined : Number(version);
      }
      const [entry] = await redis.xrange(keys.outbox(queue), '-', '+', 'COUNT', 1);
      return entry === undefined ? undefined : Number(entry[0].split('-')[0]);
    });

  return {
    settleApplications: (settled: SettledApplications): Promise<void> => settleApplications(cell, settled),
    settleChats: (settled: SettledChats): Promise<void> => settleChats(cell, settled),
    settleMessages: (settled: readonly SettledMessage[]): Promise<void> => settleMessages(cell, settled),
    settleMessageUpdates: (settled: readonly SettledEdit[]): Promise<void> =>
      settleMessageUpdates(cell, settled),
    settleIndexed: (indexed: readonly Indexed[]): Promise<void> => settleIndexed(cell, indexed),

    /** Drops dead commands that no consumer function can settle, if the outbox has them with these digests. */
    forget: async (queue: string, dead: readonly { commandId: number; digest: string }[]): Promise<void> => {
      const items = dead.map(({ commandId, digest }) => ({ id: commandId, digest }));
      for (const chunk of chunks(items)) {
        await guarded(client, (connection) =>
          runScript(connection, forget, { outbox: keys.outbox(queue) }, chunk),
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
    }): Promise<Indexed[]> => {
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
      const refs: Indexed[] = [];
      for (let i = 0; i < found.length; i += 2) {
        refs.push({ ...fromReference(found[i] ?? ''), version: Number(found[i + 1]) });
      }
      return refs;
    },

    /** The oldest pending write (microseconds) of these outboxes and of the index's outbox, if any. */
    oldest: async (queues: readonly string[]): Promise<number | undefined> => {
      const found = await Promise.all([...queues, 'index-message'].map(oldestId));
      const ids = found.filter((id) => id !== undefined);
      return ids.length === 0 ? undefined : Math.min(...ids);
    },

    /** The number of pending writes of each queue and of the index. */
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
