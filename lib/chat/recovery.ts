import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { isKnownError } from '#lib/domain/errors.ts';
import { ifAvailable } from '#lib/domain/if-available.ts';
import type { Job } from '#lib/domain/job.ts';
import type { Applications } from '#lib/mysql/applications.ts';
import type { Chats } from '#lib/mysql/chats.ts';
import type { RecoveryState } from '#lib/mysql/recovery-state.ts';
import type { Publisher } from '#lib/rabbitmq/publisher.ts';
import type { Gate, VerificationProgress } from '#lib/redis/gate.ts';
import type { OpeningAttempt } from '#lib/redis/opening-attempt.ts';

type Uses = {
  gate: Pick<Gate, 'status' | 'attempt' | 'raise' | 'saveProgress'>;
  recoveryState: Pick<RecoveryState, 'beginEpoch' | 'newestEpoch' | 'queues' | 'reservations'>;
  publisher: Pick<Publisher, 'publish' | 'declare'>;
  applications: Pick<Applications, 'highestChatNumbers'>;
  chats: Pick<Chats, 'highestMessageNumbers'>;
  /** The queues of accepted commands. */
  queues: readonly string[];
};

const POLL_MS = 50;
const ALIVE_MS = 1_000;
const BARRIER_AGAIN_MS = 15_000;
const BATCH = 1_000;

/**
 * Opens the gate after Redis was restarted, replaced or wiped.
 *
 * 1. It notes the attempt in Redis and begins an epoch: a number from MySQL that every later command carries.
 * 2. After a failover it waits until the old primary has stopped, because that one still numbers commands.
 * 3. It sends a barrier with the epoch through each queue, by way of the queue of deferred commands. When the barrier
 *    arrives, every earlier command is stored, dead, or deferred with its number reserved in MySQL. Later deliveries of
 *    earlier commands are dropped.
 * 4. It compares the highest id that a consumer has handled with the last id in Redis. If Redis has lost nothing, the
 *    gate opens for all counters. Otherwise it opens for verified counters only; the first use of a counter verifies it.
 * 5. It verifies all other counters in the background.
 *
 * May run at any time, twice at once, and again after a crash. An attempt opens nothing after a later one has
 * begun, or after its Redis has restarted.
 */
export const createRecovery = ({ gate, recoveryState, publisher, applications, chats, queues }: Uses) => {
  const sendBarriers = async (epoch: number): Promise<void> => {
    const content = JSON.stringify({ barrier: { id: randomUUID(), epoch } });
    const send = () => publisher.publish(queues.map((queue) => ({ queue: `${queue}.retry`, content })));
    try {
      await send();
    } catch (error) {
      if (!isKnownError(error, 'unavailable')) throw error;
      // A broker that lost its disk has no queues, so they are declared first.
      await publisher.declare();
      await send();
    }
  };

  /** @returns false when no time is left, or a later attempt has begun */
  const passBarriers = async (
    attempt: OpeningAttempt,
    epoch: number,
    { remainingMs }: Pick<Job, 'remainingMs'>,
  ): Promise<boolean> => {
    let sentAtMs = 0;
    let aliveAtMs = Date.now();
    while (remainingMs() > 0) {
      // The barriers are sent again at intervals, because a broker that loses its disk loses them too.
      if (Date.now() - sentAtMs >= BARRIER_AGAIN_MS) {
        await sendBarriers(epoch);
        sentAtMs = Date.now();
      }
      const passed = await recoveryState.queues();
      if (queues.every((queue) => (passed.get(queue)?.epoch ?? 0) >= epoch)) return true;
      if (Date.now() - aliveAtMs >= ALIVE_MS) {
        if (!(await attempt.isCurrent())) return false;
        aliveAtMs = Date.now();
      }
      await delay(POLL_MS);
    }
    return false;
  };

  /**
   * A primary that was replaced may take writes, and answer 200, until it notices. A barrier that was sent before that
   * would turn those commands into stragglers.
   */
  const outlastOldPrimary = async (attempt: OpeningAttempt): Promise<void> => {
    const { isPromoted, nodeTimeoutMs } = await attempt.readFailover();
    const deadlineMs = Date.now() + (isPromoted ? nodeTimeoutMs : 0);
    // Each small step is a sign of life. A later attempt takes over from a silent one.
    while (Date.now() < deadlineMs && (await attempt.isCurrent())) {
      await delay(Math.min(ALIVE_MS, Math.max(0, deadlineMs - Date.now())));
    }
  };

  const findWitness = async (): Promise<number> =>
    Math.max(0, ...[...(await recoveryState.queues()).values()].map(({ highestId }) => highestId));

  const open = async (job: Job): Promise<'open' | 'closed'> => {
    const attempt = await gate.attempt();
    const begun = await attempt.begin();
    if (begun !== 'begun') return begun === 'open' ? 'open' : 'closed';
    try {
      const epoch = await recoveryState.beginEpoch(attempt.server);
      job.log('A recovery of the numbers begins', { code: 'recovery-begins', epoch });
      await outlastOldPrimary(attempt);
      if (!(await passBarriers(attempt, epoch, job)) || (await recoveryState.newestEpoch()) !== epoch)
        return 'closed';
      const result = await attempt.open(epoch, await findWitness());
      if (result === 'superseded') return 'closed';
      job.log('Writes are taken again', { code: 'gate-opened', epoch, lost: result === 'lost' });
      return 'open';
    } finally {
      await ifAvailable(attempt.end());
    }
  };

  /**
   * Verifies all counters against MySQL. Reservations are read before rows, because a number moves from its
   * reservation to its row when it is stored.
   * @returns how many were raised
   */
  const verify = async (job: Job): Promise<number> => {
    const { isOpen, verifying } = await gate.status();
    if (!isOpen || verifying === undefined) return 0;
    const { lost } = verifying;
    let progress: VerificationProgress = verifying.progress;
    let raised = 0;
    /** @returns false when the walk must end: no time is left, or the epoch has changed */
    const step = async (
      counts: Parameters<Gate['raise']>[0],
      next: VerificationProgress,
    ): Promise<boolean> => {
      const count = await gate.raise(counts, lost);
      if (count === undefined || !(await gate.saveProgress(next, lost))) return false;
      raised += count;
      progress = next;
      return job.remainingMs() > 0;
    };
    const steps: [
      keyof VerificationProgress,
      (afterId: number) => Promise<{ id: number; counts: Counts }[]>,
    ][] = [
      ['reservations', readReservations],
      ['applications', readApplications],
      ['chats', readChats],
    ];
    for (const [table, read] of steps) {
      for (;;) {
        const rows = await read(progress[table]);
        const last = rows.at(-1);
        if (last === undefined) break;
        const counts = rows.flatMap((row) => row.counts);
        if (!(await step(counts, { ...progress, [table]: last.id }))) return raised;
      }
    }
    if (await gate.saveProgress(undefined, lost))
      job.log('All counters are compared with MySQL', { code: 'counters-verified', raised });
    return raised;
  };

  type Counts = Parameters<Gate['raise']>[0];
  const readReservations = async (afterId: number): Promise<{ id: number; counts: Counts }[]> =>
    (await recoveryState.reservations(afterId, BATCH)).map(({ id, token, chatNumber, messageNumber }) => ({
      id,
      counts: reservedCounts(token, chatNumber, messageNumber),
    }));
  const readApplications = async (afterId: number): Promise<{ id: number; counts: Counts }[]> =>
    (await applications.highestChatNumbers(afterId, BATCH)).map(({ id, token, highest }) => ({
      id,
      counts: [{ token, count: highest }],
    }));
  const readChats = async (afterId: number): Promise<{ id: number; counts: Counts }[]> =>
    (await chats.highestMessageNumbers(afterId, BATCH)).map(({ id, token, chatNumber, highest }) => ({
      id,
      counts: [{ token, chatNumber, count: highest }],
    }));

  /**
   * Opens the gate if it is closed, and continues the verification. @throws unavailable without MySQL or
   * RabbitMQ
   */
  return async (job: Job): Promise<{ gate: 'open' | 'closed'; raised: number }> => {
    const { isOpen } = await gate.status();
    const state = isOpen ? 'open' : await open(job);
    return { gate: state, raised: state === 'open' ? await verify(job) : 0 };
  };
};

/** The counter values that a pending creation implies: its own number, and a counter for the created item. */
const reservedCounts = (token: string, chatNumber?: number, messageNumber?: number) => {
  if (chatNumber === undefined) return [{ token, count: 0 }];
  if (messageNumber !== undefined) return [{ token, chatNumber, count: messageNumber }];
  return [
    { token, count: chatNumber },
    { token, chatNumber, count: 0 },
  ];
};

/** Opens the gate on new tables, for which no number can have been given. */
export const createFirstGate = ({
  gate,
  recoveryState,
}: {
  gate: Pick<Gate, 'attempt'>;
  recoveryState: Pick<RecoveryState, 'beginEpoch'>;
}) => ({
  open: async (): Promise<void> => {
    const attempt = await gate.attempt();
    if ((await attempt.begin()) !== 'begun') return;
    await attempt.open(await recoveryState.beginEpoch(attempt.server), 0);
  },
});

export type FirstGate = ReturnType<typeof createFirstGate>;

export type Recovery = ReturnType<typeof createRecovery>;
