import { expect, it, vi } from 'vitest';
import type { Relay } from '#lib/upkeep/relay.ts';
import { relayOutbox } from '../../../../functions/scheduled/relay-outbox.ts';

it('gives the relay the age in milliseconds, and the time of the function', async () => {
  const relay = vi.fn<Relay>();
  const remainingMs = () => 5_000;
  await relayOutbox({ options: { olderThanSeconds: 30 }, remainingMs }, { relay });
  expect(relay).toHaveBeenCalledExactlyOnceWith(30_000, { remainingMs });
});
