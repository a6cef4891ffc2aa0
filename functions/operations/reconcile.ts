import * as z from 'zod';
import type { Reconcile } from '#lib/chat/reconcile.ts';
import { jobHandler } from '#lib/job/job-handler.ts';
import { reconcile } from '#lib/runtime/services.ts';

type Uses = { reconcile: Reconcile };

const schema = z.object({
  /** About so many messages, taken here and there; all when 'whole'. */
  sample: z.union([z.int().min(1).max(1_000_000), z.literal('whole')]).default(1_000),
  /** The `cursor` of the report of a run that stopped; only for the whole. */
  cursor: z
    .union([
      z.strictObject({ afterId: z.int().min(0) }),
      z.strictObject({ shard: z.int().min(0), seqNo: z.int().min(-1) }),
    ])
    .optional(),
  /** Without it the differences are only counted. */
  mend: z.boolean().default(true),
  /** Messages written since are still on their way to the index, and are left out. */
  settledForSeconds: z.number().min(0).default(30),
  /** More than this is not removed from the index in one run: MySQL may be the wrong one, or not all there. */
  removeAtMost: z.int().min(0).default(1_000),
});

/** Compares MySQL with the search index, and repairs the difference. */
export const handler = jobHandler(
  schema,
  ({ options, ...running }, { reconcile }: Uses) => reconcile(options, running),
  { reconcile },
);
