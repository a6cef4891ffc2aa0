import * as z from 'zod';
import { type JobContext, jobHandler } from '#lib/job/job-handler.ts';
import { relay } from '#lib/runtime/services/upkeep.ts';
import type { Relay } from '#lib/upkeep/relay.ts';

type Uses = { relay: Relay };

const schema = z.object({
  /** The publish of a younger command may still succeed. */
  olderThanSeconds: z.number().min(0).default(30),
});

/** Publishes commands again that have been in an outbox for too long. */
export const relayOutbox = (
  { options, remainingMs }: Pick<JobContext<z.output<typeof schema>>, 'options' | 'remainingMs'>,
  { relay }: Uses,
) => relay(options.olderThanSeconds * 1000, { remainingMs });

export const handler = jobHandler(schema, relayOutbox, { relay });
