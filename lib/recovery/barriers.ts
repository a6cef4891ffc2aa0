import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { retryQueue } from '#lib/contracts/queues.ts';
import { isKnownError } from '#lib/domain/errors.ts';
import type { Job } from '#lib/domain/job.ts';
import type { RecoveryState } from '#lib/mysql/progress.ts';
import type { Publisher } from '#lib/rabbitmq/publisher.ts';
import type { OpeningAttempt } from '#lib/redis/gate/opening-attempt.ts';

export type BarrierUses = {
  publisher: Pick<Publisher, 'publish' | 'declare'>;
  recoveryState: Pick<RecoveryState, 'queues'>;
  /** The queues of accepted commands. */
  queues: readonly string[];
};

const POLL_MS = 50;
/** The interval of signs of life. A later attempt takes over from a silent one. */
export const ALIVE_MS = 1_000;
/** The interval of sending, because a broker that loses its disk loses the barriers too. */
const SEND_AGAIN_MS = 15_000;

/** Sends a barrier through each queue, by way of the queue of deferred commands. @throws unavailable */
const sendBarriers = async (epoch: number, { publisher, queues }: BarrierUses): Promise<void> => {
  const content = JSON.stringify({ barrier: { id: randomUUID(), epoch } });
  const send = () => publisher.publish(queues.map((queue) => ({ queue: retryQueue(queue), content })));
  try {
    await send();
  } catch (error) {
    if (!isKnownError(error, 'unavailable')) throw error;
    // A broker that lost its disk has no queues, so they are declared first.
    await publisher.declare();
    await send();
  }
};

/**
 * Sends barriers of the epoch and waits until every queue has passed one.
 * @returns false when no time is left, or a later attempt has begun
 */
export const passBarriers = async (
  epoch: number,
  attempt: Pick<OpeningAttempt, 'isCurrent'>,
  { remainingMs }: Pick<Job, 'remainingMs'>,
  uses: BarrierUses,
): Promise<boolean> => {
  let sentAtMs = 0;
  let aliveAtMs = Date.now();
  while (remainingMs() > 0) {
    if (Date.now() - sentAtMs >= SEND_AGAIN_MS) {
      await sendBarriers(epoch, uses);
      sentAtMs = Date.now();
    }
    const passed = await uses.recoveryState.queues();
    if (uses.queues.every((queue) => (passed.get(queue)?.epoch ?? 0) >= epoch)) return true;
    if (Date.now() - aliveAtMs >= ALIVE_MS) {
      if (!(await attempt.isCurrent())) return false;
      aliveAtMs = Date.now();
    }
    await delay(POLL_MS);
  }
  return false;
};
