import * as z from 'zod';
import type { Job } from '#lib/domain/job.ts';
import { jobHandler } from '#lib/job/job-handler.ts';
import type { Recovery } from '#lib/recovery/recovery.ts';
import { recovery } from '#lib/runtime/services/recovery.ts';

type Uses = { recovery: Recovery };

/**
 * Opens the gate after Redis was restarted, replaced or wiped. A function that finds the gate closed triggers
 * this through the queue `recover-counters`; the schedule is the fallback.
 */
export const recoverCounters = (job: Job, { recovery }: Uses) => recovery(job);

export const handler = jobHandler(z.object({}), recoverCounters, { recovery });
