import { describeError } from '#lib/domain/error-facts.ts';
import type { Job } from '#lib/domain/job.ts';

/** One kind of data that a deletion leaves behind. Its state is in MySQL alone, so an interrupted run goes on. */
export type ErasureStep = {
  /** Its name in the report. */
  name: string;
  /** Erases at most a thousand items. @returns their number; 0 if none is left for now */
  slice: () => Promise<number>;
};

/** The longest run, within the minute until the next one. */
const RUN_MS = 50_000;

/**
 * Runs the steps side by side, slice by slice, until none has work left or the time is over: a step that paces itself
 * delays no other. A step that fails does not stop the others. @throws the first error, after the other steps have ended
 */
export const createErasure =
  (steps: readonly ErasureStep[], { now }: { now: () => number }) =>
  async ({ remainingMs, log }: Job): Promise<Record<string, number>> => {
    const deadline = now() + RUN_MS;
    const isInTime = () => remainingMs() > 0 && now() < deadline;
    const report: Record<string, number> = Object.fromEntries(steps.map(({ name }) => [name, 0]));
    const failures: unknown[] = [];
    const failed = new Set<string>();
    const total = () => Object.values(report).reduce((sum, erased) => sum + erased, 0);

    /** @returns whether the step may have more work */
    const runSlice = async ({ name, slice }: ErasureStep): Promise<boolean> => {
      try {
        const erased = await slice();
        report[name] = (report[name] ?? 0) + erased;
        return erased > 0;
      } catch (error) {
        failures.push(error);
        failed.add(name);
        log('A step of the erasure failed; the next run tries it again', {
          code: 'erasure-failed',
          step: name,
          reason: describeError(error),
        });
        return false;
      }
    };

    const runStep = async (step: ErasureStep): Promise<void> => {
      let hasMore = true;
      while (hasMore && isInTime()) hasMore = await runSlice(step);
    };
    // A step may leave work to another that has ended already. After any work all steps without a failure begin again.
    let before: number;
    do {
      before = total();
      await Promise.all(steps.filter(({ name }) => !failed.has(name)).map(runStep));
    } while (total() > before && isInTime());
    if (failures.length > 0) throw failures[0];
    return report;
  };

export type Erasure = ReturnType<typeof createErasure>;
