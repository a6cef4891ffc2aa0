import { setTimeout as delay } from 'node:timers/promises';
import { isKnownError } from '#lib/domain/errors.ts';
import type { Job } from '#lib/domain/job.ts';

const PAUSE_MS = 2_000;

/**
 * Wraps a function so that it runs again while a server is unavailable. It lets long operations survive short
 * outages.
 * @throws the error of the work, once less than `reserveMs` remain
 */
export const retryUnavailable =
  ({ remainingMs }: Pick<Job, 'remainingMs'>, reserveMs: number) =>
  async <Result>(work: () => Promise<Result>): Promise<Result> => {
    for (;;) {
      try {
        return await work();
      } catch (error) {
        if (!isKnownError(error, 'unavailable') || remainingMs() < reserveMs) throw error;
      }
      await delay(PAUSE_MS);
    }
  };
