import { describe, expect, it } from 'vitest';
import { unavailable } from '#lib/domain/errors.ts';
import { createRecovery } from '#lib/recovery/recovery.ts';

type Given = {
  /** Of the server that recovery meets; a plain restart if absent. */
  failover?: { isPromoted: boolean; nodeTimeoutMs: number };
  newestEpoch?: number;
  /** The newest epoch that Redis remembers. */
  epochInRedis?: number;
  /** Whether MySQL has an application. */
  hasNumbers?: boolean;
  hasLostQueues?: boolean;
  highestId?: number;
  /** Queues whose consumers have handled something before. */
  handled?: readonly string[];
  /** The last id in Redis. */
  clock?: number;
  /** Whether commands are deferred or dead, after each barrier. */
  reservations?: boolean[];
  /** Users whose tokens ended lately. */
  raised?: number;
  isOpen?: boolean;
};

const queues = ['create-chat', 'create-message'];

/** A recovery of epoch 7 on plain objects. `steps` lists its calls in order. */
const givenRecovery = ({
  failover = { isPromoted: false, nodeTimeoutMs: 0 },
  newestEpoch,
  epochInRedis = 0,
  hasNumbers = false,
  hasLostQueues = false,
  highestId = 0,
  clock = highestId,
  reservations = [],
  handled = [],
  raised = 0,
  isOpen = false,
}: Given = {}) => {
  const steps: string[] = [];
  const logged: { code: string }[] = [];
  let epoch = 6;
  let isDeclared = !hasLostQueues;
  let sentTo: readonly string[] = handled;
  const attempt = {
    server: 'run',
    begin: async () => 'begun' as const,
    isCurrent: async () => {
      steps.push('sign of life');
      return true;
    },
    readFailover: async () => failover,
    isBehind: async (witness: number) => clock < witness,
    raiseGenerations: async (users: readonly { id: number }[]) => {
      steps.push(`end tokens of ${users.map(({ id }) => id).join()}`);
    },
    readClocks: async () => ({ clock, late: 0, now: 0 }),
    open: async (epoch: number, { witness }: { witness: number }) => {
      steps.push(`open ${epoch} with witness ${witness}`);
      return 'open' as const;
    },
    end: async () => {
      steps.push('end');
    },
  };
  const recovery = createRecovery({
    gate: {
      status: async () => ({ isOpen, verifying: undefined }),
      newestEpoch: async () => epochInRedis,
      attempt: async () => attempt,
      raise: async () => 0,
      saveProgress: async () => true,
    },
    recoveryState: {
      beginEpoch: async () => {
        epoch += 1;
        return epoch;
      },
      newestEpoch: async () => newestEpoch ?? epoch,
      adoptEpoch: async (number) => {
        steps.push(`adopt ${number}`);
      },
      recordOpening: async (_epoch, { above }) => above + 1,
      hasNumbers: async () => hasNumbers,
      queues: async () => new Map(sentTo.map((queue) => [queue, { epoch, highestId }])),
      hasReservations: async () => reservations.shift() ?? false,
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
    generations: {
      raise: async (users) => {
        steps.push(`end tokens of ${users.map(({ id }) => id).join()} again`);
        return { gate: 'open', ended: [] };
      },
    },
    users: {
      findRaised: async (_seconds, count, last) =>
        Array.from({ length: raised }, (_, i) => ({ id: i + 1, generation: 1, raisedAtMs: 0 })).slice(
          last?.id ?? 0,
          (last?.id ?? 0) + count,
        ),
    },
    revocationSeconds: 4_200,
    applications: { highestChatNumbers: async () => [] },
    chats: { highestMessageNumbers: async () => [] },
    outdatedWindows: { drop: async () => undefined },
    queues,
  });
  const log = (_message: string, facts: { code: string }) => logged.push(facts);
  return { steps, logged, run: () => recovery({ remainingMs: () => 10_000, log }) };
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

  it('ends tokens in Redis behind the barriers and before the gate opens', async () => {
    const { steps, run } = givenRecovery({ raised: 2 });
    await run();
    expect(steps).toEqual(['barriers', 'end tokens of 1,2', 'open 7 with witness 0', 'end']);
  });

  it('ends tokens again while the gate is open, a thousand users at a time', async () => {
    const { steps, run } = givenRecovery({ isOpen: true, raised: 2_000 });
    expect(await run()).toEqual({ gate: 'open', raised: 0 });
    expect(steps.map((step) => step.replace(/(\d+),.*,(\d+)/, '$1 to $2'))).toEqual([
      'end tokens of 1 to 1000 again',
      'end tokens of 1001 to 2000 again',
    ]);
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

  it('sends barriers once more after a loss, for edits that a barrier may have overtaken', async () => {
    const { steps, run } = givenRecovery({ highestId: 42, clock: 41 });
    await run();
    expect(steps).toEqual(['barriers', 'barriers', 'open 8 with witness 42', 'end']);
  });

  it('sends barriers until nothing is deferred any more', async () => {
    const { steps, run } = givenRecovery({ highestId: 42, clock: 0, reservations: [true, false] });
    await run();
    expect(steps).toEqual(['barriers', 'barriers', 'barriers', 'open 9 with witness 42', 'end']);
  });

  it('sends barriers at most once for each generation of commands, because a dead one stays reserved', async () => {
    const { steps, run } = givenRecovery({ highestId: 42, clock: 0, reservations: [true, true, true, true] });
    await run();
    expect(steps).toEqual(['barriers', 'barriers', 'barriers', 'barriers', 'open 10 with witness 42', 'end']);
  });

  it('of an empty Redis beside rows whose commands had no ids is a loss', async () => {
    const { steps, run } = givenRecovery({ hasNumbers: true });
    await run();
    expect(steps).toEqual(['barriers', 'barriers', 'open 8 with witness 1', 'end']);
  });

  it.each([Number.MAX_SAFE_INTEGER, (Date.now() + 2 * 86_400_000) * 1000])(
    'stops at the witness %i, and names the queues',
    async (highestId) => {
      const given = givenRecovery({ highestId, clock: 41, handled: ['create-chat'] });
      expect(await given.run()).toEqual({ gate: 'closed', raised: 0 });
      expect(given.steps).toEqual(['end']);
      expect(given.logged).toMatchObject([{ code: 'witness-ahead', queues: ['create-chat'] }]);
    },
  );

  it('trusts a witness a day ahead', async () => {
    const highestId = (Date.now() + 86_400_000) * 1000;
    const { steps, run } = givenRecovery({ highestId, clock: highestId, handled: ['create-chat'] });
    expect(await run()).toMatchObject({ gate: 'open' });
    expect(steps.at(-2)).toBe(`open 7 with witness ${highestId}`);
  });

  it('tells MySQL of the newest epoch in Redis, which a restored MySQL does not know', async () => {
    const { steps, run } = givenRecovery({ epochInRedis: 12 });
    await run();
    expect(steps[0]).toBe('adopt 12');
    const known = givenRecovery({ epochInRedis: 6 });
    await known.run();
    expect(known.steps).not.toContain('adopt 6');
  });
});
