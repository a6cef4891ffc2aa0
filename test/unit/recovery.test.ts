import { describe, expect, it } from 'vitest';
import { createRecovery } from '#lib/chat/recovery.ts';
import { unavailable } from '#lib/domain/errors.ts';

type Given = {
  /** Of the server that recovery meets; a plain restart if absent. */
  failover?: { isPromoted: boolean; nodeTimeoutMs: number };
  newestEpoch?: number;
  hasLostQueues?: boolean;
  highestId?: number;
};

const queues = ['create-chat', 'create-message'];

/** A recovery of epoch 7 on plain objects. `steps` lists its calls in order. */
const givenRecovery = ({
  failover = { isPromoted: false, nodeTimeoutMs: 0 },
  newestEpoch = 7,
  hasLostQueues = false,
  highestId = 0,
}: Given = {}) => {
  const steps: string[] = [];
  let isDeclared = !hasLostQueues;
  let sentTo: string[] = [];
  const attempt = {
    server: 'run',
    begin: async () => 'begun' as const,
    isCurrent: async () => {
      steps.push('sign of life');
      return true;
    },
    readFailover: async () => failover,
    open: async (epoch: number, witness: number) => {
      steps.push(`open ${epoch} with witness ${witness}`);
      return 'open' as const;
    },
    end: async () => {
      steps.push('end');
    },
  };
  const recovery = createRecovery({
    gate: {
      status: async () => ({ isOpen: false, verifying: undefined }),
      attempt: async () => attempt,
      raise: async () => 0,
      saveProgress: async () => true,
    },
    recoveryState: {
      beginEpoch: async () => 7,
      newestEpoch: async () => newestEpoch,
      queues: async () => new Map(sentTo.map((queue) => [queue, { epoch: 7, highestId }])),
      reservations: async () => [],
    },
    publisher: {
      publish: async (publications) => {
        if (!isDeclared) throw unavailable('RabbitMQ has no such queue.');
        steps.push('barriers');
        sentTo = publications.map(({ queue }) => queue.replace('.retry', ''));
      },
      declare: async () => {
        steps.push('declare');
        isDeclared = true;
        return [];
      },
    },
    applications: { highestChatNumbers: async () => [] },
    chats: { highestMessageNumbers: async () => [] },
    queues,
  });
  return { steps, run: () => recovery({ remainingMs: () => 10_000, log: () => undefined }) };
};

describe('recovery', () => {
  it('sends a barrier through every queue before it opens the gate', async () => {
    const { steps, run } = givenRecovery({ highestId: 42 });
    expect(await run()).toEqual({ gate: 'open', raised: 0 });
    expect(steps).toEqual(['barriers', 'open 7 with witness 42', 'end']);
  });

  it('waits for a replaced primary before it sends the barriers', async () => {
    const { steps, run } = givenRecovery({ failover: { isPromoted: true, nodeTimeoutMs: 20 } });
    await run();
    expect(steps.indexOf('sign of life')).toBe(0);
    expect(steps.lastIndexOf('sign of life')).toBeLessThan(steps.indexOf('barriers'));
  });

  it('declares the queues of a broker that has lost them', async () => {
    const { steps, run } = givenRecovery({ hasLostQueues: true });
    await run();
    expect(steps).toEqual(['declare', 'barriers', 'open 7 with witness 0', 'end']);
  });

  it('leaves the gate closed after a later epoch has begun', async () => {
    const { steps, run } = givenRecovery({ newestEpoch: 8 });
    expect(await run()).toEqual({ gate: 'closed', raised: 0 });
    expect(steps).toEqual(['barriers', 'end']);
  });
});
