import { expect, it, vi } from 'vitest';
import type { Reconcile } from '#lib/upkeep/reconcile.ts';
import { reconcileMessages } from '../../../../functions/operations/reconcile.ts';

it('compares as its options say, within the time of the function', async () => {
  const reconcile = vi.fn<Reconcile>();
  const running = { remainingMs: () => 60_000, log: () => undefined };
  const options = { sample: 'whole', repair: false, settledForSeconds: 30, removeAtMost: 5 } as const;
  await reconcileMessages({ options, ...running }, { reconcile });
  expect(reconcile).toHaveBeenCalledExactlyOnceWith(options, running);
});
