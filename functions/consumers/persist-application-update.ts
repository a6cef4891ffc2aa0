import { type Consumer, consumerHandler } from '#lib/consumer/consumer-handler.ts';
import type { Read } from '#lib/contracts/commands/command.ts';
import { updateApplicationCommand } from '#lib/contracts/commands/update-application.ts';
import type { Applications } from '#lib/mysql/applications.ts';
import type { Erasable } from '#lib/redis/commands/all.ts';
import type { Directory } from '#lib/redis/window/directory.ts';
import { applications } from '#lib/runtime/services/mysql.ts';
import { directory } from '#lib/runtime/services/redis.ts';
import { settles } from '#lib/runtime/services/writing.ts';
import type { Settling } from '#lib/writing/settling.ts';

type Command = Read<typeof updateApplicationCommand>;
type Uses = {
  applications: Pick<Applications, 'update' | 'storedAmong'>;
  directory: Pick<Directory, 'pendingBesides'>;
  settles: Pick<Settling, 'update-application'>;
};

/** Stores new names of applications, and deletions of applications. */
export const persistApplicationUpdate: Consumer<Command, Uses, Command & Erasable> = {
  store: ({ applications }, commands) => applications.update(commands),
  settle: ({ settles }, outcome) => settles['update-application'](outcome),
  // A deletion that was given up would let its application appear. Redis is asked before MySQL: an application that is no
  // longer pending is stored.
  waitsOn: async ({ applications, directory }, commands) => {
    const deletions = commands.filter(({ deleted }) => deleted);
    const tokens = deletions.map(({ token }) => token);
    const pending = await directory.pendingBesides(tokens);
    const stored = await applications.storedAmong(tokens);
    return new Set(deletions.filter(({ token }) => pending.has(token) || stored.has(token)));
  },
};

export const handler = consumerHandler(updateApplicationCommand, persistApplicationUpdate, {
  applications,
  directory,
  settles,
});
