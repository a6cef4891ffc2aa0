import { type Consumer, consumerHandler } from '#lib/consumer/consumer-handler.ts';
import type { Read } from '#lib/contracts/commands/command.ts';
import { updateApplicationCommand } from '#lib/contracts/commands/update-application.ts';
import type { Applications } from '#lib/mysql/applications.ts';
import type { Erasable, Settles } from '#lib/redis/commands/all.ts';
import { applications } from '#lib/runtime/services/mysql.ts';
import { settles } from '#lib/runtime/services/redis.ts';

type Command = Read<typeof updateApplicationCommand>;
type Uses = { applications: Pick<Applications, 'update'>; settles: Pick<Settles, 'update-application'> };

/** Stores new names of applications, and deletions of applications. */
export const persistApplicationUpdate: Consumer<Command, Uses, Command & Erasable> = {
  store: ({ applications }, commands) => applications.update(commands),
  settle: ({ settles }, outcome) => settles['update-application'](outcome),
};

export const handler = consumerHandler(updateApplicationCommand, persistApplicationUpdate, {
  applications,
  settles,
});
