import { type Batch, consumerHandler } from '#lib/consumer/consumer-handler.ts';
import { type UpdateApplication, updateApplicationCommand } from '#lib/contracts/commands.ts';
import type { Applications } from '#lib/mysql/applications.ts';
import type { Outbox } from '#lib/redis/outbox.ts';
import { applications, outbox } from '#lib/runtime/services.ts';

type Uses = { applications: Pick<Applications, 'update'>; outbox: Pick<Outbox, 'settleApplications'> };

/** Delivery is at least once and a throw redelivers the whole batch: every step here may be repeated. */
export const persistApplicationUpdates = async (
  batch: Batch<UpdateApplication>,
  { applications, outbox }: Uses,
) => {
  const placed = await applications.update(batch.commands);
  const dead = await batch.setAside(placed);
  await outbox.settleApplications(updateApplicationCommand.queue, placed.done, dead);
};

export const handler = consumerHandler(updateApplicationCommand, persistApplicationUpdates, {
  applications,
  outbox,
});
