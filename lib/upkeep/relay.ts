import { setTimeout as delay } from 'node:timers/promises';
import { limits } from '#lib/domain/limits.ts';
import { messageReference } from '#lib/domain/reference.ts';
import type { Messages } from '#lib/mysql/messages.ts';
import type { Publication, Publisher } from '#lib/rabbitmq/publisher.ts';
import type { Settles } from '#lib/redis/commands/all.ts';
import type { Outbox } from '#lib/redis/commands/outbox.ts';
import { toIndexPublication } from '#lib/writing/hand-on.ts';

type Uses = {
  outbox: Pick<Outbox, 'commands' | 'unindexed'>;
  publisher: Pick<Publisher, 'publish' | 'depth' | 'declare'>;
  messages: Pick<Messages, 'find'>;
  settles: Pick<Settles, 'index-message'>;
  /** The queues of accepted commands, parents first. */
  queues: readonly string[];
  /** The longest that a deferred command may wait for its parent. */
  longestDeferralMs: number;
  now: () => number;
};

type Range = { after: number; olderThan: number; count: number };
type Step = { publications: Publication[]; upTo: number | undefined };

/** Commands in one step. The next step waits until the queue is empty. */
const STEP = 1_000;
const POLL_MS = 200;
/** The longest wait for one queue before the relay continues with the next. */
const STEP_WAIT_MS = 15_000;

/**
 * Publishes commands again that have been in an outbox for too long: their publish was not confirmed, or the
 * broker lost them. It publishes in steps and only into an empty queue, so that a slow consumer is never
 * flooded. A second copy of a command does no harm. If the broker has lost its queues, the relay declares
 * them.
 */
export const createRelay = ({
  outbox,
  publisher,
  messages,
  settles,
  queues,
  longestDeferralMs,
  now,
}: Uses) => {
  /** Waits until the consumer has taken all messages from the queue. */
  const becomesEmpty = async (queue: string, remainingMs: () => number): Promise<boolean> => {
    const deadline = now() + STEP_WAIT_MS;
    while (now() < deadline && remainingMs() > 0) {
      if ((await publisher.depth(queue)).ready === 0) return true;
      await delay(POLL_MS);
    }
    return false;
  };

  const nextCommands =
    (queue: string) =>
    async (range: Range): Promise<Step> => {
      const commands = await outbox.commands(queue, range);
      return {
        publications: commands.map(({ commandId, command }) => ({
          queue,
          content: command,
          messageId: String(commandId),
          // The header makes consumers accept the command, even if it is older than a barrier.
          headers: { relayed: 1 },
        })),
        upTo: commands.at(-1)?.commandId,
      };
    };

  const nextMessages = async (range: Range): Promise<Step> => {
    const refs = await outbox.unindexed(range);
    const rows = await messages.find(refs);
    // Only the rows of deleted chats vanish.
    const found = new Set(rows.map(messageReference));
    const erased = refs.filter((ref) => !found.has(messageReference(ref)));
    await settles['index-message']({ stored: erased.map((ref) => ({ ...ref, deleted: true })), dead: [] });
    return {
      publications: rows.map(toIndexPublication),
      upTo: refs.at(-1)?.version,
    };
  };

  /** @returns how many were published */
  return async (
    olderThanMs: number,
    { remainingMs }: { remainingMs: () => number },
  ): Promise<Record<string, number>> => {
    const micros = (ageMs: number) => Math.floor((now() + limits.openingMs - ageMs) * 1000);
    // All queues share one bound. With a later bound for each, a child could be published before its parent
    // is old enough.
    const olderThan = micros(olderThanMs);
    // Deferred commands are in the outbox as well. Beside them only older commands are published, so that a
    // command whose parent never arrives does not delay the others.
    const olderThanDeferred = Math.min(olderThan, micros(longestDeferralMs));

    const relay = async (queue: string, next: (range: Range) => Promise<Step>): Promise<number> => {
      const { ready, retry } = await publisher.depth(queue);
      if (ready > 0) return 0;
      let relayed = 0;
      for (let after = 0; remainingMs() > 0; ) {
        const { publications, upTo } = await next({
          after,
          olderThan: retry === 0 ? olderThan : olderThanDeferred,
          count: STEP,
        });
        if (upTo === undefined) break;
        await publisher.publish(publications);
        relayed += publications.length;
        after = upTo;
        if (!(await becomesEmpty(queue, remainingMs))) break;
      }
      return relayed;
    };

    await publisher.declare();
    const report: Record<string, number> = {};
    for (const queue of queues) report[queue] = await relay(queue, nextCommands(queue));
    report['index-message'] = await relay('index-message', nextMessages);
    return report;
  };
};

export type Relay = ReturnType<typeof createRelay>;
