import { expect, it, vi } from 'vitest';
import type { Recovery } from '#lib/recovery/recovery.ts';
import { recoverCounters } from '../../../../functions/scheduled/recover-counters.ts';

it('lets the recovery run within the time of the function', async () => {
  const recovery = vi.fn<Recovery>();
  const run = { remainingMs: () => 5_000, log: () => undefined };
  await recoverCounters(run, { recovery });
  expect(recovery).toHaveBeenCalledExactlyOnceWith(run);
});
