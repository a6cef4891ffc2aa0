import { expect, it, vi } from 'vitest';
import type { Reindex } from '#lib/upkeep/reindex.ts';
import { reindexMessages } from '../../../../functions/operations/reindex.ts';

it('rebuilds the index by the action that was asked for, within the time of the function', async () => {
  const reindex = vi.fn<Reindex>();
  const running = { remainingMs: () => 60_000, log: () => undefined };
  await reindexMessages({ options: { action: 'restart' }, ...running }, { reindex });
  expect(reindex).toHaveBeenCalledExactlyOnceWith('restart', running);
});
