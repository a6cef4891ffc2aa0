import type { AcceptedQueue, CommandOf } from '#lib/contracts/commands/all.ts';
import {
  type Answer,
  type CommandContract,
  type Given,
  neededItem,
} from '#lib/contracts/commands/command.ts';
import type { NumberedChange } from '#lib/domain/change.ts';
import { notFound, unavailable } from '#lib/domain/errors.ts';
import type { ItemReference } from '#lib/domain/reference.ts';
import type { RecoveryState } from '#lib/mysql/progress.ts';
import type { Publisher } from '#lib/rabbitmq/publisher.ts';
import type { Idempotency, StoredItem } from '#lib/redis/commands/accept.ts';
import type { Accepts } from '#lib/redis/commands/all.ts';
import type { Gate } from '#lib/redis/gate/gate.ts';
import type { EraseAtOnce } from './erase-at-once.ts';
import { createVerifyCounters } from './verify-counters.ts';

/**
 * The longest that a request waits for the broker's confirm. A command without a confirm is accepted as well:
 * it is in the outbox, and the relay publishes it.
 */
const PUBLISH_WAIT_MS = 1_000;
/** Tries of one write: Redis may lose a counter again while it is verified, and an item while it is looked up. */
const TRIES = 5;

/** The refusal of every write while the gate is closed. */
export const closed = () =>
  unavailable('The numbers are being recovered. Writes are accepted again soon.', undefined, 1);
const lostMeanwhile = () =>
  unavailable('The numbers were lost during this write. It may or may not have been accepted.', undefined, 1);

/** Reads who owns a stored item, its version, and whether it is deleted. */
type FindStored = (
  item: ItemReference,
) => Promise<{ ownerId: number; version: number; isDeleted?: boolean } | undefined>;

const deletes = (given: object): boolean => 'deleted' in given && given.deleted === true;

/** Whether the looked-up item is the one that the command edits, and not its application. */
const isItemOf = ({ item }: CommandContract, { chatNumber }: ItemReference): boolean =>
  item === 'application' || chatNumber !== undefined;

type Uses = {
  accepts: Accepts;
  publisher: Pick<Publisher, 'publishCommand'>;
  gate: Pick<Gate, 'isOpenIn' | 'verify'>;
  numbers: Pick<RecoveryState, 'highestChatNumber' | 'highestMessageNumber'>;
  findStored: FindStored;
  /** Applies an accepted deletion to MySQL, as far as it can. Never throws. */
  eraseAtOnce: EraseAtOnce;
  /** Announces a change that somebody watches, beside its command. Never rejects, and nobody waits for it. None by default. */
  announce?: (changes: readonly NumberedChange[]) => Promise<void>;
  /** Starts a recovery; returns at once. */
  askForRecovery: () => void;
  onUnpublished: (queue: string, error: unknown) => void;
};

/**
 * Returns the one way of a write: Redis accepts the command, the broker gets it, and the gate is checked again. A deletion
 * is also written to MySQL, if that answers within a second. MySQL is asked for counters after a loss of Redis, and for an item that Redis has forgotten.
 */
export const createSubmit = ({
  accepts,
  publisher,
  gate,
  numbers,
  findStored,
  eraseAtOnce,
  announce = async () => undefined,
  askForRecovery,
  onUnpublished,
}: Uses) => {
  const verifyCounters = createVerifyCounters({ gate, numbers });

  const publish = async (queue: string, command: { id: string; content: string }): Promise<void> => {
    try {
      await publisher.publishCommand(queue, command, PUBLISH_WAIT_MS);
    } catch (error) {
      onUnpublished(queue, error);
    }
  };

  /** Checks the gate after the write, because Redis may have lost its data without closing the socket. */
  const confirm = async (epoch: string): Promise<void> => {
    if (await gate.isOpenIn(epoch)) return;
    askForRecovery();
    throw lostMeanwhile();
  };

  /**
   * @returns the token or number of the created item
   * @throws not-found, forbidden, precondition-failed, unprocessable (an Idempotency-Key of another request), conflict
   * (no number is left) and unavailable (after which the write may or may not have been accepted)
   */
  return async <Queue extends AcceptedQueue>(
    command: CommandOf[Queue] & { queue: Queue },
    given: Given<CommandOf[Queue]>,
    idempotency?: Idempotency,
  ): Promise<Answer<CommandOf[Queue]>> => {
    let stored: StoredItem | undefined;
    for (let left = TRIES; left > 0; left -= 1) {
      const outcome = await accepts[command.queue](given, { idempotency, stored });
      switch (outcome.kind) {
        case 'accepted':
          // In the turn of the command, so that one write carries both.
          if (outcome.change !== undefined) void announce([outcome.change]);
          if (outcome.command !== undefined) await publish(command.queue, outcome.command);
          await confirm(outcome.epoch);
          if (outcome.command !== undefined && deletes(given))
            await eraseAtOnce(command.queue, outcome.command.content);
          return outcome.answer;
        case 'closed':
          askForRecovery();
          throw closed();
        case 'unverified':
          if (!(await verifyCounters(outcome.counters, outcome.lost))) throw notFound(neededItem(command));
          break;
        case 'unknown': {
          const { item, lookedUpAt } = outcome;
          const found = await findStored(item);
          if (found === undefined) throw notFound(neededItem(command));
          stored = isItemOf(command, item)
            ? { ...stored, ...found, lookedUpAt }
            : { ...stored, applicationCreatorId: found.ownerId };
        }
      }
    }
    throw closed();
  };
};

export type Submit = ReturnType<typeof createSubmit>;
