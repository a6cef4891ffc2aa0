import { expect, test } from 'vitest';
import { relayOutbox } from '../../functions/scheduled/relay-outbox.ts';

const nowMs = Date.parse('2026-01-01T00:00:00.000Z');
const aged = (seconds: number) => (nowMs - seconds * 1000) * 1000;

/** One queue, with commands in its outbox that were accepted so many seconds ago. @returns ages of what is relayed */
const relayed = async (depth: { ready: number; retry: number }, ages: number[]): Promise<number[]> => {
  const published: number[] = [];
  const ids = ages.map(aged).sort((one, other) => one - other);
  await relayOutbox(
    { options: { olderThanSeconds: 30, againAfterSeconds: 300 }, remainingMs: () => 10_000 },
    {
      outbox: {
        commands: async (_queue, { after, olderThan }) =>
          ids
            .filter((id) => id > after && id <= olderThan)
            .map((commandId) => ({ commandId, command: '{}' })),
        unindexed: async () => [],
        relayed: async () => ({ upTo: 0, atMs: 0 }),
        noteRelayed: async () => undefined,
      },
      publisher: {
        declare: async () => [],
        depth: async () => ({ ...depth, dead: 0, consumers: 1 }),
        publish: async (publications) => {
          published.push(...publications.map(({ messageId }) => nowMs / 1000 - Number(messageId) / 1e6));
        },
      },
      messages: { find: async () => [] },
      commandQueues: ['create-message'],
      maxDeferrals: 600,
      now: () => nowMs,
    },
  );
  return published.sort((one, other) => one - other);
};

const ages = [10, 40, 600, 1_201, 5_000];

test('publishes again what is overdue', async () => {
  expect(await relayed({ ready: 0, retry: 0 }, ages)).toEqual([40, 600, 1_201, 5_000]);
});

test('publishes nothing into a queue that its consumer has not worked off', async () => {
  expect(await relayed({ ready: 1, retry: 0 }, ages)).toEqual([]);
});

test('beside commands that wait for their parents only what is older than any of them: nothing is held up for ever', async () => {
  expect(await relayed({ ready: 0, retry: 3 }, ages)).toEqual([1_201, 5_000]);
});
