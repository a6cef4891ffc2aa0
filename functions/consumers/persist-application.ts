import { type Consumer, consumerHandler } from '#lib/consumer/consumer-handler.ts';
import type { Read } from '#lib/contracts/commands/command.ts';
import { createApplicationCommand } from '#lib/contracts/commands/create-application.ts';
import type { Applications } from '#lib/mysql/applications.ts';
import type { Outbox } from '#lib/redis/commands/outbox.ts';
import { applications } from '#lib/runtime/services/mysql.ts';
import { outbox } from '#lib/runtime/services/redis.ts';

type Uses = { applications: Pick<Applications, 'insert'>; outbox: Pick<Outbox, 'settleApplications'> };

/** Stores new applications. */
export const persistApplication: Consumer<Read<typeof createApplicationCommand>, Uses> = {
  store: ({ applications }, commands) => applications.insert(commands),
  settle: ({ outbox }, outcome) =>
    outbox.settleApplications({ queue: createApplicationCommand.queue, ...outcome }),
};

export const handler = consumerHandler(createApplicationCommand, persistApplication, {
  applications,
  outbox,
});
