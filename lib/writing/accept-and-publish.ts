import { notFound, unavailable } from '#lib/domain/errors.ts';
import type { RecoveryState } from '#lib/mysql/progress.ts';
import type { Publisher } from '#lib/rabbitmq/publisher.ts';
import type { Outcome } from '#lib/redis/commands/accepting-script.ts';
import type { CounterOf, Gate } from '#lib/redis/gate/gate.ts';

/**
 * The longest that a request waits for the broker's confirm. A command without a confirm is accepted as well:
 * it is in the outbox, and the relay publishes it.
 */
const PUBLISH_WAIT_MS = 1_000;
/** Tries of one write, because Redis may lose a counter again while it is verified. */
const TRIES = 3;

const closed = () =>
  unavailable('The numbers are being recovered. Writes are accepted again soon.', undefined, 1);
const lostMeanwhile = () =>
  unavailable('The numbers were lost during this write. It may or may not have been accepted.', undefined, 1);

export type SubmissionUses = {
  publisher: Pick<Publisher, 'publishCommand'>;
  gate: Pick<Gate, 'isOpenIn' | 'verify'>;
  numbers: Pick<RecoveryState, 'highestChatNumber' | 'highestMessageNumber'>;
  /** Starts a recovery; returns at once. */
  askForRecovery: () => void;
  onUnpublished: (queue: string, error: unknown) => void;
};

export type Write = {
  /** The queue of the command. */
  queue: string;
  /** The item that a not-found error names. */
  what: string;
  /** The counter that must be verified before the write is accepted. */
  counter: CounterOf;
  accept: () => Promise<Outcome>;
};

/**
 * Returns a function that accepts a write, publishes its command, and checks the gate again. It returns the
 * answer; undefined if only MySQL knows the creator.
 * @throws not-found; unavailable, after which the write may or may not have been accepted
 */
export const createSubmission = ({
  publisher,
  gate,
  numbers,
  askForRecovery,
  onUnpublished,
}: SubmissionUses) => {
  /** Verifies the counter of a write against MySQL, before its first use after a loss of Redis. */
  const verify = async ({ what, counter }: Write, lost: string): Promise<void> => {
    const count =
      counter.chatNumber === undefined
        ? await numbers.highestChatNumber(counter.token)
        : await numbers.highestMessageNumber(counter.token, counter.chatNumber);
    if ((await gate.verify(counter, count, lost)) === 'missing') throw notFound(what);
  };

  const accept = async (write: Write): Promise<Extract<Outcome, { kind: 'accepted' | 'unknown' }>> => {
    for (let left = TRIES; left > 0; left -= 1) {
      const outcome = await write.accept();
      if (outcome.kind === 'accepted' || outcome.kind === 'unknown') return outcome;
      if (outcome.kind === 'closed') {
        askForRecovery();
        throw closed();
      }
      await verify(write, outcome.lost);
    }
    throw closed();
  };

  /** Checks the gate after the write, because Redis may have lost its data without closing the socket. */
  const confirm = async (epoch: string): Promise<void> => {
    if (await gate.isOpenIn(epoch)) return;
    askForRecovery();
    throw lostMeanwhile();
  };

  return async (write: Write): Promise<string | undefined> => {
    const outcome = await accept(write);
    if (outcome.kind === 'unknown') return undefined;
    const { answer, command, epoch } = outcome;
    if (command !== undefined) {
      try {
        await publisher.publishCommand(write.queue, command, PUBLISH_WAIT_MS);
      } catch (error) {
        onUnpublished(write.queue, error);
      }
    }
    await confirm(epoch);
    return answer;
  };
};
