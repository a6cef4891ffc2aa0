import { type MessageReference, parseMessageReference } from '#lib/domain/reference.ts';
import { guarded } from '../connection/guard.ts';
import { outbox } from '../gate/gate.lua.ts';
import { defineScript, runScript } from '../script/script.ts';
import type { Cell } from './accept.ts';
import { chunks } from './chunks.ts';

/** Removes entries with this id and text, and their pending changes. */
const forget = defineScript(
  { uses: [outbox], keys: ['outbox'], each: { keys: ['changes'], args: ['id', 'digest'] } },
  /* lua */ `
  if not isInOutbox(outbox, id, digest) then return end
  redis.call('XDEL', outbox, id .. '-0')
  redis.call('ZREMRANGEBYSCORE', changes, id, id)
`,
);

/** Accepted commands that MySQL does not have yet, and stored messages that the index does not have yet. */
export const createOutbox = ({ client, keys }: Cell) => {
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
    /**
     * Drops dead commands that no consumer function can settle, if the outbox has them with these digests. `token`: of the
     * application, as far as the command shows it.
     */
    forget: async (
      queue: string,
      dead: readonly { commandId: number; digest: string; token?: string | undefined }[],
    ): Promise<void> => {
      const items = dead.map(({ commandId, digest, token = '' }) => ({
        id: commandId,
        digest,
        changes: keys.changes(token),
      }));
      for (const chunk of chunks(items)) {
        await guarded(client, runScript(forget, { outbox: keys.outbox(queue) }, chunk));
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
    }): Promise<(MessageReference & { version: number })[]> => {
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
      const refs: (MessageReference & { version: number })[] = [];
      for (let i = 0; i < found.length; i += 2) {
        refs.push({ ...parseMessageReference(found[i] ?? ''), version: Number(found[i + 1]) });
      }
      return refs;
    },

    /** The oldest pending write (microseconds) of these outboxes and of the index's outbox, if any. */
    oldest: async (queues: readonly string[]): Promise<number | undefined> => {
      const found = await Promise.all([...queues, 'index-message'].map(oldestId));
      const ids = found.filter((id) => id !== undefined);
      return ids.length === 0 ? undefined : Math.min(...ids);
    },
  };
};

export type Outbox = ReturnType<typeof createOutbox>;
