import { type Batch, consumerHandler } from '#lib/consumer/consumer-handler.ts';
import { type CreateApplication, createApplicationCommand } from '#lib/contracts/commands.ts';
import type { Applications } from '#lib/mysql/applications.ts';
import type { Outbox } from '#lib/redis/outbox.ts';
import { applications, outbox } from '#lib/runtime/services.ts';

type Uses = { applications: Pick<Applications, 'insert'>; outbox: Pick<Outbox, 'settleApplications'> };

/** Delivery is at least once and a throw redelivers the whole batch: every step here may be repeated. */
export const persistApplications = async (
  batch: Batch<CreateApplication>,
  { applications, outbox }: Uses,
) => {
  const placed = await applications.insert(batch.commands);
  const dead = await batch.setAside(placed);
  await outbox.settleApplications(createApplicationCommand.queue, placed.done, dead);
};

export const handler = consumerHandler(createApplicationCommand, persistApplications, {
  applications,
  outbox,
});
