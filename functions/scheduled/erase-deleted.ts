import * as z from 'zod';
import type { Job } from '#lib/domain/job.ts';
import { jobHandler } from '#lib/job/job-handler.ts';
import { erasure } from '#lib/runtime/services/upkeep.ts';
import type { Erasure } from '#lib/upkeep/erasure.ts';

type Uses = { erasure: Erasure };

/** Removes what deletions have left behind. Its progress is in MySQL, so the next run goes on where this one ended. */
export const eraseDeleted = (job: Job, { erasure }: Uses) => erasure(job);

export const handler = jobHandler(z.object({}), eraseDeleted, { erasure });
