import { expect, test } from 'vitest';
import type { Publication } from '#lib/rabbitmq/publisher.ts';
import { createRelay } from '#lib/upkeep/relay.ts';

const nowMs = Date.parse('2026-01-01T00:00:00.000Z');
const aged = (seconds: number) => (nowMs - seconds * 1000) * 1000;

/** One queue whose outbox has commands of these ages in seconds. @returns the published commands */
const relay = async (depth: { ready: number; retry: number }, ages: number[]): Promise<Publication[]> => {
  const published: Publication[] = [];
  const ids = ages.map(aged).sort((one, other) => one - other);
  const run = createRelay({
    outbox: {
      commands: async (_queue, { after, olderThan, count }) =>
        ids
          .filter((id) => id > after && id <= olderThan)
          .slice(0, count)
          .map((commandId) => ({ commandId, command: '{}' })),
      unindexed: async () => [],
    },
    publisher: {
      declare: async () => [],
      depth: async () => ({ ...depth, dead: 0 }),
      publish: async (publications) => {
        published.push(...publications);
      },
    },
    messages: { find: async () => [] },
    settles: { 'index-message': async () => undefined },
    queues: ['create-message'],
    longestDeferralMs: 1_200_000,
    now: () => nowMs,
  });
  await run(30_000, { remainingMs: () => 10_000 });
  return published;
};
const relayed = async (depth: { ready: number; retry: number }, ages: number[]): Promise<number[]> =>
  (await relay(depth, ages))
    .map(({ messageId }) => nowMs / 1000 - Number(messageId) / 1e6)
    .sort((one, other) => one - other);

const ages = [10, 40, 600, 1_201, 5_000];

test('publishes overdue commands again', async () => {
  expect(await relayed({ ready: 0, retry: 0 }, ages)).toEqual([40, 600, 1_201, 5_000]);
});

test('says of each command that it was relayed: no barrier makes it a straggler', async () => {
  expect((await relay({ ready: 0, retry: 0 }, ages)).map(({ headers }) => headers)).toEqual(
    Array(4).fill({ relayed: 1 }),
  );
});

test('publishes nothing into a queue that its consumer has not worked off', async () => {
  expect(await relayed({ ready: 1, retry: 0 }, ages)).toEqual([]);
});

test('publishes beside deferred commands only those older than any deferral, so that none waits without end', async () => {
  expect(await relayed({ ready: 0, retry: 3 }, ages)).toEqual([1_201, 5_000]);
});

test('goes through the whole outbox, however many of its first commands stay there', async () => {
  const many = Array.from({ length: 2_500 }, (_, i) => 40 + i);
  expect(await relayed({ ready: 0, retry: 0 }, many)).toHaveLength(2_500);
});
