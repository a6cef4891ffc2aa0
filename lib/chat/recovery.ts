import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { isKnownError } from '#lib/domain/errors.ts';
import { ifAvailable } from '#lib/domain/if-available.ts';
import type { Applications } from '#lib/mysql/applications.ts';
import type { Chats } from '#lib/mysql/chats.ts';
import type { RecoveryState } from '#lib/mysql/recovery-state.ts';
import type { Publisher } from '#lib/rabbitmq/publisher.ts';
import type { Gate, Walked } from '#lib/redis/gate.ts';
import type { OpeningAttempt } from '#lib/redis/opening-attempt.ts';

type Uses = {
  gate: Pick<Gate, 'status' | 'attempt' | 'raise' | 'noteWalked'>;
  recoveryState: Pick<RecoveryState, 'beginEpoch' | 'newestEpoch' | 'queues' | 'reservations'>;
  publisher: Pick<Publisher, 'publish' | 'declare'>;
  applications: Pick<Applications, 'highestChatNumbers'>;
  chats: Pick<Chats, 'highestMessageNumbers'>;
  /** Of accepted commands. */
  queues: readonly string[];
  /** The longest that a handler waits for a confirm. */
  publishWaitMs: number;
};

type Run = {
  remainingMs: () => number;
  log: (message: string, facts: Record<string, unknown>) => void;
};

const POLL_MS = 50;
const ALIVE_MS = 1_000;
const BARRIER_AGAIN_MS = 15_000;
const BATCH = 1_000;

/**
 * Opens the gate after Redis was restarted, replaced or wiped.
 *
 * 1. An attempt is noted in Redis, and an epoch begins: a number in MySQL that every later command will carry.
 * 2. A barrier with that number goes through each queue, by way of the queue of deferred commands. Behind it every
 *    earlier command is stored, dead, or deferred with its number reserved in MySQL; a straggler is dropped.
 * 3. The highest id that a consumer has handled is compared with the last that Redis gave. Redis lost nothing: the gate
 *    opens. Otherwise it opens for counters that were compared with MySQL, which their first use does.
 * 4. All other counters are compared in the background.
 *
 * May run at any time, twice at once, and again after a crash: an attempt that a later one has overtaken opens nothing,
 * nor does one whose server run has ended.
 */
export const createRecovery = ({
  gate,
  recoveryState,
  publisher,
  applications,
  chats,
  queues,
  publishWaitMs,
}: Uses) => {
  const sendBarriers = async (epoch: number): Promise<void> => {
    const content = JSON.stringify({ barrier: { id: randomUUID(), epoch } });
    const send = () => publisher.publish(queues.map((queue) => ({ queue: `${queue}.retry`, content })));
    try {
      await send();
    } catch (error) {
      if (!isKnownError(error, 'unavailable')) throw error;
      // A broker that lost its disk has no queues.
      await publisher.declare();
      await send();
    }
  };

  /** @returns false when the time is over, or a later attempt has begun */
  const passBarriers = async (
    attempt: OpeningAttempt,
    epoch: number,
    { remainingMs }: Run,
  ): Promise<boolean> => {
    let sentAtMs = 0;
    let aliveAtMs = Date.now();
    while (remainingMs() > 0) {
      // Sent again now and then: a broker that loses its disk loses the barriers too.
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

  /** A primary that was replaced may take writes until it notices; and its last commands may still be on the way. */
  const outlastOldPrimary = async (attempt: OpeningAttempt): Promise<void> => {
    const { isPromoted, nodeTimeoutMs } = await attempt.readFailover();
    const deadlineMs = Date.now() + (isPromoted ? nodeTimeoutMs + publishWaitMs : 0);
    // In small steps, each a sign of life: others would take a silent attempt over.
    while (Date.now() < deadlineMs && (await attempt.isCurrent())) {
      await delay(Math.min(ALIVE_MS, Math.max(0, deadlineMs - Date.now())));
    }
  };

  const findWitness = async (): Promise<number> =>
    Math.max(0, ...[...(await recoveryState.queues()).values()].map(({ highestId }) => highestId));

  const open = async (run: Run): Promise<'open' | 'closed'> => {
    const attempt = await gate.attempt();
    const begun = await attempt.begin();
    if (begun !== 'begun') return begun === 'open' ? 'open' : 'closed';
    try {
      const epoch = await recoveryState.beginEpoch(attempt.server);
      run.log('A recovery of the numbers begins', { code: 'recovery-begins', epoch });
      const [passed] = await Promise.all([passBarriers(attempt, epoch, run), outlastOldPrimary(attempt)]);
      if (!passed || (await recoveryState.newestEpoch()) !== epoch) return 'closed';
      const result = await attempt.open(epoch, await findWitness());
      if (result === 'superseded') return 'closed';
      run.log('Writes are taken again', { code: 'gate-opened', epoch, lost: result === 'lost' });
      return 'open';
    } finally {
      await ifAvailable(attempt.end());
    }
  };

  /**
   * Compares all counters with MySQL. Reservations come first: a number that is stored in the meantime moves from there
   * to the rows, which are read later.
   * @returns how many were raised
   */
  const verify = async (run: Run): Promise<number> => {
    const { isOpen, verifying } = await gate.status();
    if (!isOpen || verifying === undefined) return 0;
    const { lost } = verifying;
    let walked: Walked = verifying.walked;
    let raised = 0;
    /** @returns false when the walk must end: out of time, or not the epoch any more */
    const step = async (counts: Parameters<Gate['raise']>[0], next: Walked): Promise<boolean> => {
      const count = await gate.raise(counts, lost);
      if (count === undefined || !(await gate.noteWalked(next, lost))) return false;
      raised += count;
      walked = next;
      return run.remainingMs() > 0;
    };
    const steps: [keyof Walked, (afterId: number) => Promise<{ id: number; counts: Counts }[]>][] = [
      ['reservations', readReservations],
      ['applications', readApplications],
      ['chats', readChats],
    ];
    for (const [table, read] of steps) {
      for (;;) {
        const rows = await read(walked[table]);
        const last = rows.at(-1);
        if (last === undefined) break;
        const counts = rows.flatMap((row) => row.counts);
        if (!(await step(counts, { ...walked, [table]: last.id }))) return raised;
      }
    }
    if (await gate.noteWalked(undefined, lost))
      run.log('All counters are compared with MySQL', { code: 'counters-verified', raised });
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

  /** Opens the gate if it is closed, and goes on with the comparison. @throws unavailable without MySQL or RabbitMQ */
  return async (run: Run): Promise<{ gate: 'open' | 'closed'; raised: number }> => {
    const { isOpen } = await gate.status();
    const state = isOpen ? 'open' : await open(run);
    return { gate: state, raised: state === 'open' ? await verify(run) : 0 };
  };
};

/** What a creation that is not stored says of the counters: its own number, and that what it creates exists. */
const reservedCounts = (token: string, chatNumber?: number, messageNumber?: number) => {
  if (chatNumber === undefined) return [{ token, count: 0 }];
  if (messageNumber !== undefined) return [{ token, chatNumber, count: messageNumber }];
  return [
    { token, count: chatNumber },
    { token, chatNumber, count: 0 },
  ];
};

/** Opens the gate where nothing can have been numbered yet: the tables were created a moment ago. */
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
