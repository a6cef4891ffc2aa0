import { type MessageReference, messageReference } from '#lib/domain/reference.ts';
import type { RedisClient } from '../connection/client.ts';
import { guarded } from '../connection/guard.ts';
import { gate, outbox } from '../gate/gate.lua.ts';
import type { Keys } from '../script/keys.ts';
import { defineScript, expecting, runScript } from '../script/script.ts';

/** The time in which a search sees what the index has confirmed, and much more. */
export const KEPT_SECONDS = 60;

/** Deletions that are not stored yet, or that the index did not have a minute ago. */
const findDeleted = defineScript(
  {
    uses: [gate, outbox],
    keys: ['state', 'deletions', 'updates'],
    args: ['server'],
    each: { keys: ['pendingEdits'], args: ['number', 'message'] },
  },
  {
    before: 'local epoch, _, lost = readState(state, server)',
    each: /* lua */ `
  if redis.call('ZSCORE', deletions, message) then return 1 end
  local edit = redis.call('HGET', pendingEdits, number)
  return edit and isDeletion(fromOutbox(updates, edit)) and 1
`,
    after: 'return { epoch and not lost and 1 or 0, results }',
  },
  expecting<[knowsAll: 0 | 1, deleted: (1 | null)[]]>,
);

/** Reads which messages were deleted lately, so that the index may still have their texts. */
export const createDeletedMessages = ({ client, keys }: { client: RedisClient; keys: Keys }) => ({
  /**
   * @returns the references of messages that Redis knows to be deleted. `knowsAll` is false if Redis may have forgotten some:
   * while the gate is closed, and once it has lost data
   */
  among: async (refs: readonly MessageReference[]): Promise<{ deleted: Set<string>; knowsAll: boolean }> => {
    const [knowsAll, found] = await guarded(
      client,
      runScript(
        findDeleted,
        { state: keys.state, deletions: keys.deletions, updates: keys.outbox('update-message') },
        refs.map((message) => ({
          pendingEdits: keys.pendingEdits(message.token, message.chatNumber),
          number: message.messageNumber,
          message: messageReference(message),
        })),
      ),
    );
    const deleted = refs.filter((_message, at) => found[at] === 1).map(messageReference);
    return { deleted: new Set(deleted), knowsAll: knowsAll === 1 };
  },
});

export type DeletedMessages = ReturnType<typeof createDeletedMessages>;
