import { setTimeout as delay } from 'node:timers/promises';
import { ifAvailable } from '#lib/concurrency/if-available.ts';
import type { Job } from '#lib/domain/job.ts';
import { limits } from '#lib/domain/limits.ts';
import type { RecoveryState } from '#lib/mysql/progress.ts';
import type { Gate } from '#lib/redis/gate/gate.ts';
import type { OpeningAttempt } from '#lib/redis/gate/opening-attempt.ts';
import type { Generations } from '#lib/redis/revocation/generations.ts';
import { ALIVE_MS, type BarrierUses, passBarriers } from './barriers.ts';
import { openGate } from './opening.ts';
import { type RevocationUses, revokeAgain } from './revocations.ts';
import { createVerification, type VerificationUses } from './verification.ts';

type Uses = BarrierUses &
  RevocationUses &
  VerificationUses & {
    generations: Pick<Generations, 'raise'>;
    gate: Pick<Gate, 'attempt' | 'newestEpoch'>;
    recoveryState: Pick<
      RecoveryState,
      'beginEpoch' | 'newestEpoch' | 'recordOpening' | 'adoptEpoch' | 'hasReservations' | 'hasNumbers'
    >;
  };

/** Application, chat, message and edit: each may have been deferred because it waits for the one before. */
const GENERATIONS = 4;

/** A command id that is more than a day ahead was handled, which no command of this API can have. */
class WitnessAhead extends Error {
  readonly queues: readonly string[];
  constructor(queues: readonly string[]) {
    super(
      `The highest handled id of ${queues.join(', ')} is more than a day ahead, so writes stay refused: correct it as docs/operations.md says`,
    );
    this.name = 'WitnessAhead';
    this.queues = queues;
  }
}

/**
 * A primary that was replaced may take writes, and answer 200, until it notices. A barrier that was sent before that
 * would turn those commands into stragglers.
 */
const outlastOldPrimary = async (
  attempt: Pick<OpeningAttempt, 'readFailover' | 'isCurrent'>,
): Promise<void> => {
  const { isPromoted, nodeTimeoutMs } = await attempt.readFailover();
  const deadlineMs = Date.now() + (isPromoted ? nodeTimeoutMs : 0);
  while (Date.now() < deadlineMs && (await attempt.isCurrent())) {
    await delay(Math.min(ALIVE_MS, Math.max(0, deadlineMs - Date.now())));
  }
};

/**
 * Opens the gate after Redis was restarted, replaced or wiped.
 *
 * 1. It notes the attempt in Redis and begins an epoch: a number from MySQL that every later command carries.
 * 2. After a failover it waits until the old primary has stopped, because that one still numbers commands.
 * 3. It sends a barrier with the epoch through each queue, by way of the queue of deferred commands. When the barrier
 *    arrives, every earlier command is stored, dead, or deferred with its number reserved in MySQL. Later deliveries of
 *    earlier commands are dropped. If Redis has lost data, it shows deferred commands no longer. So it sends barriers
 *    again, each time with a new epoch, until the deferred commands are stored as well.
 * 4. It compares the highest id that a consumer has handled with the last id in Redis. If Redis has lost nothing, the
 *    gate opens for all counters. Otherwise it opens for verified counters only; the first use of a counter verifies it.
 *    It stops at an id that is more than a day ahead, because every later id would have to be higher. Before it opens,
 *    MySQL notes the change numbers that are left out (opening.ts), and Redis hears again of all access tokens that have ended: from then on everybody believes its silence.
 * 5. It verifies all other counters in the background.
 *
 * May run at any time, twice at once, and again after a crash. An attempt opens nothing after a later one has
 * begun, or after its Redis has restarted.
 */
export const createRecovery = (uses: Uses) => {
  const { gate, recoveryState } = uses;
  const verify = createVerification(uses);

  /**
   * The highest id that a consumer has handled; at least 1 if MySQL has rows, which an empty Redis does not know.
   * @throws WitnessAhead
   */
  const findWitness = async (): Promise<number> => {
    const handled = [...(await recoveryState.queues())];
    const latest = (Date.now() + limits.futureMs + limits.skewMs) * 1000;
    const ahead = handled.filter(([, { highestId }]) => highestId > latest).map(([queue]) => queue);
    if (ahead.length > 0) throw new WitnessAhead(ahead);
    const highest = Math.max(0, ...handled.map(([, { highestId }]) => highestId));
    return highest === 0 && (await recoveryState.hasNumbers()) ? 1 : highest;
  };

  /** @returns the epoch to open; undefined when no time is left, or a later attempt has begun */
  const passAll = async (attempt: OpeningAttempt, job: Job): Promise<number | undefined> => {
    let hadDeferred = true;
    for (let generation = 1; ; generation += 1) {
      const epoch = await recoveryState.beginEpoch(attempt.server);
      if (generation === 1) {
        job.log('A recovery of the numbers begins', { code: 'recovery-begins', epoch });
        await outlastOldPrimary(attempt);
      }
      if (!(await passBarriers(epoch, attempt, job, uses))) return undefined;
      if (generation === GENERATIONS || !hadDeferred) return epoch;
      if (!(await attempt.isBehind(await findWitness()))) return epoch;
      hadDeferred = await recoveryState.hasReservations();
    }
  };

  /** Consumers refuse commands of an epoch that MySQL does not know, as after the restore of an older MySQL. */
  const adopt = async (newestEpoch: number, job: Job): Promise<void> => {
    if (newestEpoch <= (await recoveryState.newestEpoch())) return;
    await recoveryState.adoptEpoch(newestEpoch, 'adopted from Redis');
    job.log('MySQL did not know the newest epoch, as after the restore of a backup', {
      code: 'epoch-adopted',
      epoch: newestEpoch,
    });
  };

  const open = async (job: Job): Promise<'open' | 'closed'> => {
    const attempt = await gate.attempt();
    const begun = await attempt.begin();
    if (begun !== 'begun') return begun === 'open' ? 'open' : 'closed';
    try {
      await findWitness();
      const epoch = await passAll(attempt, job);
      if (epoch === undefined || (await recoveryState.newestEpoch()) !== epoch) return 'closed';
      await revokeAgain(attempt.raiseGenerations, uses);
      const result = await openGate(attempt, epoch, await findWitness(), uses);
      if (result === 'superseded') return 'closed';
      job.log('Writes are accepted again', { code: 'gate-opened', epoch, lost: result === 'lost' });
      return 'open';
    } catch (error) {
      if (!(error instanceof WitnessAhead)) throw error;
      job.log(error.message, { code: 'witness-ahead', queues: error.queues });
      return 'closed';
    } finally {
      await ifAvailable(attempt.end());
    }
  };

  /**
   * Opens the gate if it is closed, and continues the verification. @throws unavailable without MySQL or
   * RabbitMQ
   */
  return async (job: Job): Promise<{ gate: 'open' | 'closed'; raised: number }> => {
    await adopt(await gate.newestEpoch(), job);
    const { isOpen } = await gate.status();
    if (isOpen) await revokeAgain(uses.generations.raise, uses);
    const state = isOpen ? 'open' : await open(job);
    return { gate: state, raised: state === 'open' ? await verify(job) : 0 };
  };
};

export type Recovery = ReturnType<typeof createRecovery>;
