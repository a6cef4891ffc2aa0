import { type Consumer, consumerHandler } from '#lib/consumer/consumer-handler.ts';
import type { Read } from '#lib/contracts/commands/command.ts';
import { updateApplicationCommand } from '#lib/contracts/commands/update-application.ts';
import type { Applications } from '#lib/mysql/applications.ts';
import type { Outbox } from '#lib/redis/commands/outbox.ts';
import { applications } from '#lib/runtime/services/mysql.ts';
import { outbox } from '#lib/runtime/services/redis.ts';

type Uses = { applications: Pick<Applications, 'update'>; outbox: Pick<Outbox, 'settleApplications'> };

/** Stores new names of applications. */
export const persistApplicationUpdate: Consumer<Read<typeof updateApplicationCommand>, Uses> = {
  store: ({ applications }, commands) => applications.update(commands),
  settle: ({ outbox }, outcome) =>
    outbox.settleApplications({ queue: updateApplicationCommand.queue, ...outcome }),
};

export const handler = consumerHandler(updateApplicationCommand, persistApplicationUpdate, {
  applications,
  outbox,
});
