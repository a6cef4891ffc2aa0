import { setTimeout as delay } from 'node:timers/promises';
import type { Messages } from '#lib/mysql/messages.ts';
import type { Publication, Publisher } from '#lib/rabbitmq/publisher.ts';
import type { Outbox } from '#lib/redis/outbox.ts';
import { toIndexPublication } from './indexing.ts';

type Uses = {
  outbox: Pick<Outbox, 'commands' | 'unindexed'>;
  publisher: Pick<Publisher, 'publish' | 'depth' | 'declare'>;
  messages: Pick<Messages, 'find'>;
  /** Of accepted commands, parents first. */
  queues: readonly string[];
  /** The longest that a deferred command may wait for its parent. */
  longestDeferralMs: number;
  now: () => number;
};

type Range = { after: number; olderThan: number; count: number };
type Step = { publications: Publication[]; upTo: number | undefined };

/** A step is published once the queue has taken in the one before. */
const STEP = 1_000;
const POLL_MS = 200;
/** How long a queue may take over a step before the others get their turn. */
const STEP_WAIT_MS = 15_000;

/**
 * Publishes again what has been in an outbox for too long: its publish was not confirmed, or the broker has lost it.
 * Only into a queue that is empty, and step by step: a queue whose consumer is merely slow is never flooded, and a copy
 * of what is being worked on does no harm. A broker that has lost its queues gets them again.
 */
export const createRelay = ({ outbox, publisher, messages, queues, longestDeferralMs, now }: Uses) => {
  /** Waits until the consumer has taken in what is ready. */
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
          // Older than a barrier, it is still to be taken.
          headers: { relayed: 1 },
        })),
        upTo: commands.at(-1)?.commandId,
      };
    };

  const nextMessages = async (range: Range): Promise<Step> => {
    const refs = await outbox.unindexed(range);
    const rows = await messages.find(refs);
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
    const micros = (ageMs: number) => Math.floor((now() - ageMs) * 1000);
    // One bound for all queues: with a later one for each, a child could be published whose parent was still too young.
    const olderThan = micros(olderThanMs);
    // A deferred command is in the outbox as well. Beside such commands only older ones are published: a parent that
    // never comes must not hold up the others.
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
