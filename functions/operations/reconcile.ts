import * as z from 'zod';
import { type JobContext, jobHandler } from '#lib/job/job-handler.ts';
import { reconcile } from '#lib/runtime/services/upkeep.ts';
import type { Reconcile } from '#lib/upkeep/reconcile.ts';

type Uses = { reconcile: Reconcile };

const schema = z.strictObject({
  /** The approximate number of messages in a random sample, or 'whole' for all. */
  sample: z.union([z.int().min(1).max(1_000_000), z.literal('whole')]).default(1_000),
  /** The `cursor` from the report of a stopped run; only with 'whole'. */
  cursor: z
    .union([
      z.strictObject({ afterId: z.int().min(0) }),
      z.strictObject({ shard: z.int().min(0), seqNo: z.int().min(-1) }),
    ])
    .optional(),
  /** False only counts the differences. */
  repair: z.boolean().default(true),
  /** Younger messages may not be indexed yet and are skipped. */
  settledForSeconds: z.number().min(0).default(30),
  /** The most documents to remove in one run, because MySQL may be the wrong one or incomplete. */
  removeAtMost: z.int().min(0).default(1_000),
});

/** Compares MySQL with the search index, and repairs the difference. */
export const reconcileMessages = (
  { options, ...job }: JobContext<z.output<typeof schema>>,
  { reconcile }: Uses,
) => reconcile(options, job);

export const handler = jobHandler(schema, reconcileMessages, { reconcile });
