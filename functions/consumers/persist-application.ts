import { type Consumer, consumerHandler } from '#lib/consumer/consumer-handler.ts';
import type { Read } from '#lib/contracts/commands/command.ts';
import { createApplicationCommand } from '#lib/contracts/commands/create-application.ts';
import type { Applications } from '#lib/mysql/applications.ts';
import { applications } from '#lib/runtime/services/mysql.ts';
import { settles } from '#lib/runtime/services/writing.ts';
import type { Settling } from '#lib/writing/settling.ts';

type Uses = { applications: Pick<Applications, 'insert'>; settles: Pick<Settling, 'create-application'> };

/** Stores new applications. */
export const persistApplication: Consumer<Read<typeof createApplicationCommand>, Uses> = {
  store: ({ applications }, commands) => applications.insert(commands),
  settle: ({ settles }, outcome) => settles['create-application'](outcome),
};

export const handler = consumerHandler(createApplicationCommand, persistApplication, {
  applications,
  settles,
});
