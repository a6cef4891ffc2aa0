import { expect, it } from 'vitest';
import { createSystemStatus } from '#lib/upkeep/system-status.ts';
import { reportMetrics } from '../../../../functions/scheduled/report-metrics.ts';

const nowMs = 1_000_000_000;
const secondsAgo = (seconds: number) => (nowMs - seconds * 1_000) * 1_000;

const uses = {
  publisher: { depth: async () => ({ ready: 3, retry: 2, dead: 1 }), waitingSignals: async () => 7 },
  outbox: {
    commands: async (queue: string) =>
      queue === 'create-chat' ? [{ commandId: secondsAgo(90), command: '{}' }] : [],
    unindexed: async () => [{ token: 't', chatNumber: 1, messageNumber: 1, version: secondsAgo(20) }],
  },
  gate: { status: async () => ({ isOpen: true, verifying: undefined }) },
  commandQueues: ['create-application', 'create-chat'],
  queues: ['create-chat', 'index-message'],
  now: () => nowMs,
};

const report = async (more: Partial<typeof uses> = {}) => {
  const lines: Record<string, unknown>[] = [];
  const logged: unknown[] = [];
  await reportMetrics(
    { log: (_message, facts) => logged.push(facts) },
    {
      systemStatus: createSystemStatus({ ...uses, ...more }),
      metricsNamespace: 'chat-test',
      now: () => nowMs,
      write: (line) => lines.push(JSON.parse(line)),
    },
  );
  return { lines, logged };
};

it('writes the metrics of the system and of each queue in the embedded metric format', async () => {
  const { lines, logged } = await report();
  expect(logged).toEqual([]);
  expect(lines).toEqual([
    {
      _aws: {
        Timestamp: nowMs,
        CloudWatchMetrics: [
          {
            Namespace: 'chat-test',
            Dimensions: [[]],
            Metrics: [
              { Name: 'WaitingSignals', Unit: 'Count' },
              { Name: 'OldestCommand', Unit: 'Seconds' },
              { Name: 'IndexLag', Unit: 'Seconds' },
              { Name: 'GateClosed', Unit: 'None' },
              { Name: 'AllDeadLetters', Unit: 'Count' },
              { Name: 'MostWaiting', Unit: 'Count' },
            ],
          },
        ],
      },
      WaitingSignals: 7,
      OldestCommand: 90,
      IndexLag: 20,
      GateClosed: 0,
      AllDeadLetters: 2,
      MostWaiting: 3,
    },
    ...['create-chat', 'index-message'].map((queue) => ({
      _aws: {
        Timestamp: nowMs,
        CloudWatchMetrics: [
          {
            Namespace: 'chat-test',
            Dimensions: [['Queue']],
            Metrics: [
              { Name: 'Waiting', Unit: 'Count' },
              { Name: 'Deferred', Unit: 'Count' },
              { Name: 'DeadLetters', Unit: 'Count' },
            ],
          },
        ],
      },
      Queue: queue,
      Waiting: 3,
      Deferred: 2,
      DeadLetters: 1,
    })),
  ]);
});

it('leaves out the metrics of a server that is down, and logs them as unknown', async () => {
  const { lines, logged } = await report({
    publisher: {
      depth: () => Promise.reject(new Error('down')),
      waitingSignals: () => Promise.reject(new Error('down')),
    },
  });
  expect(lines).toHaveLength(1);
  expect(lines[0]).not.toHaveProperty('AllDeadLetters');
  expect(lines[0]).toMatchObject({ OldestCommand: 90, IndexLag: 20, GateClosed: 0 });
  expect(logged).toEqual([{ code: 'metrics-unknown', unknown: ['queues', 'signals'] }]);
});
