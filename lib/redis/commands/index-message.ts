import { type MessageReference, messageReference } from '#lib/domain/reference.ts';
import { guarded } from '../connection/guard.ts';
import { numbers } from '../gate/gate.lua.ts';
import { defineScript, type LuaModule, runScript } from '../script/script.ts';
import { KEPT_SECONDS } from '../window/deleted-messages.ts';
import type { Cell } from './accept.ts';
import { chunks } from './chunks.ts';

/**
 * The outbox of the index: a sorted set of messages that MySQL has and the index may not, by version. A message is named
 * by its chat's reference and its number.
 */
export const toIndex: LuaModule = {
  lua: /* lua */ `
local function handOn(indexOutbox, chat, numbers, versions)
  local waiting = {}
  for i, number in ipairs(numbers) do
    if versions[i] then
      waiting[#waiting + 1] = versions[i]
      waiting[#waiting + 1] = chat .. ':' .. number
    end
  end
  if #waiting > 0 then redis.call('ZADD', indexOutbox, 'GT', unpack(waiting)) end
end
`,
};

/**
 * The index has this version: the message leaves the outbox unless a newer version waits there. A deletion is kept a
 * while, because a search sees the index as it was at its last refresh.
 */
const settle = defineScript(
  {
    uses: [numbers],
    keys: ['indexOutbox', 'deletions'],
    each: { args: ['message', 'version', 'deleted'] },
  },
  {
    before: /* lua */ `
  local now = nowMicros()
  redis.call('ZREMRANGEBYSCORE', deletions, '-inf', text(now))
`,
    each: /* lua */ `
  local waiting = redis.call('ZSCORE', indexOutbox, message)
  if waiting and tonumber(waiting) <= tonumber(version) then redis.call('ZREM', indexOutbox, message) end
  if deleted ~= '' then redis.call('ZADD', deletions, 'XX', text(now + ${KEPT_SECONDS * 1_000_000}), message) end
`,
  },
);

type Indexed = MessageReference & { version: number; deleted?: true | null | undefined };

/** @returns a function that settles indexed and refused messages. It throws unavailable; then settle them again */
export const settleIndexed =
  ({ client, keys }: Cell) =>
  async ({ stored, dead }: { stored: readonly Indexed[]; dead: readonly Indexed[] }): Promise<void> => {
    const items = [...stored, ...dead].map((one) => ({
      message: messageReference(one),
      version: one.version,
      deleted: one.deleted ? '1' : '',
    }));
    for (const chunk of chunks(items))
      await guarded(
        client,
        runScript(settle, { indexOutbox: keys.indexOutbox, deletions: keys.deletions }, chunk),
      );
  };
