import * as z from 'zod';
import { type JobContext, jobHandler } from '#lib/job/job-handler.ts';
import { reindex } from '#lib/runtime/services/upkeep.ts';
import type { Reindex } from '#lib/upkeep/reindex.ts';

type Uses = { reindex: Reindex };

const schema = z.strictObject({
  /** Continue or begin a rebuild; drop an unfinished one and begin again; or only drop it. */
  action: z.enum(['continue', 'restart', 'abandon']).default('continue'),
});

/** Rebuilds the search index from MySQL. */
export const reindexMessages = (
  { options, ...job }: JobContext<z.output<typeof schema>>,
  { reindex }: Uses,
) => reindex(options.action, job);

export const handler = jobHandler(schema, reindexMessages, { reindex });
