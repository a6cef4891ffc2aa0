import { expect, it } from 'vitest';
import { eraseDeleted } from '../../../../functions/scheduled/erase-deleted.ts';

it('runs the erasure within the time of the function, and reports what is erased', async () => {
  const job = { remainingMs: () => 5_000, log: () => undefined };
  const erasure = async ({ remainingMs }: { remainingMs: () => number }) => ({ letters: remainingMs() });
  expect(await eraseDeleted(job, { erasure })).toEqual({ letters: 5_000 });
});
