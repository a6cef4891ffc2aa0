import { guarded } from '../connection/guard.ts';
import { chatMember } from '../script/keys.ts';
import { defineScript, runScript } from '../script/script.ts';
import type { Cell } from './accepting-script.ts';
import { chunks } from './chunks.ts';

/** The index has this version: the message leaves the outbox unless a newer version waits there. */
const settle = defineScript(
  { keys: ['indexOutbox'], each: { args: ['message', 'version'] } },
  /* lua */ `
  local waiting = redis.call('ZSCORE', indexOutbox, message)
  if waiting and tonumber(waiting) <= tonumber(version) then redis.call('ZREM', indexOutbox, message) end
`,
);

export type Indexed = { token: string; chatNumber: number; messageNumber: number; version: number };

/** @throws unavailable; then settle the commands again */
export const settleIndexed = async ({ client, keys }: Cell, indexed: readonly Indexed[]): Promise<void> => {
  const items = indexed.map(({ token, chatNumber, messageNumber, version }) => ({
    message: `${chatMember(token, chatNumber)}:${messageNumber}`,
    version,
  }));
  for (const chunk of chunks(items)) {
    await guarded(client, (connection) =>
      runScript(connection, settle, { indexOutbox: keys.indexOutbox }, chunk),
    );
  }
};
