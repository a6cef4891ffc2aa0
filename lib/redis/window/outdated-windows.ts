import type { ChatReference } from '#lib/domain/reference.ts';
import type { RedisClient } from '../connection/client.ts';
import { guarded } from '../connection/guard.ts';
import { gate } from '../gate/gate.lua.ts';
import type { Keys } from '../script/keys.ts';
import { defineScript, runScript } from '../script/script.ts';
import { window } from './window.lua.ts';

const dropOutdated = defineScript(
  { uses: [gate, window], keys: ['state'], each: { keys: ['order', 'entries'] } },
  {
    before: 'local lost = lossOf(state)',
    each: /* lua */ `
  local epoch = redis.call('HGET', entries, 'epoch')
  if epoch ~= lost then dropWindow(order, entries) end
`,
  },
);

/** Windows from before a loss of data. No reader uses them, but a rollback brings back the text of deleted messages. */
export const createOutdatedWindows = ({ client, keys }: { client: RedisClient; keys: Keys }) => ({
  /** Removes such windows of these chats. @throws unavailable */
  drop: async (chats: readonly ChatReference[]): Promise<void> => {
    if (chats.length === 0) return;
    const items = chats.map(({ token, chatNumber }) => ({
      order: keys.windowOrder(token, chatNumber),
      entries: keys.windowEntries(token, chatNumber),
    }));
    await guarded(client, runScript(dropOutdated, { state: keys.state }, items));
  },
});

export type OutdatedWindows = ReturnType<typeof createOutdatedWindows>;
