import * as z from 'zod';
import { toIndexPublication } from '#lib/chat/indexing.ts';
import { jobHandler, type Run } from '#lib/job/job-handler.ts';
import type { Messages } from '#lib/mysql/messages.ts';
import type { Publication, Publisher } from '#lib/rabbitmq/publisher.ts';
import { RETRY_DELAY_MS } from '#lib/rabbitmq/topology.ts';
import type { Outbox } from '#lib/redis/outbox.ts';
import { commandQueues, maxDeferrals, messages, now, outbox, publisher } from '#lib/runtime/services.ts';

type Uses = {
  outbox: Pick<Outbox, 'commands' | 'unindexed' | 'relayed' | 'noteRelayed'>;
  publisher: Pick<Publisher, 'publish' | 'depth' | 'declare'>;
  messages: Pick<Messages, 'find'>;
  commandQueues: readonly string[];
  maxDeferrals: number;
  now: () => number;
};

/** A step is published once the queue has taken in the one before. */
const STEP = 1_000;
const POLL_MS = 200;
/** How long a queue may take over a step before the others get their turn; the next run goes on where this one was. */
const STEP_WAIT_MS = 15_000;

const schema = z.object({
  /** Younger commands are on their way by themselves. */
  olderThanSeconds: z.number().min(0).default(30),
  /** Once the outbox has been gone through, it is not gone through again sooner than this. */
  againAfterSeconds: z.number().min(0).default(300),
});

/**
 * Publishes again what has lain in the outbox too long: commands whose publish was not confirmed, or which the broker
 * has lost. Only into a queue that is empty, so that one whose consumer is merely slow is never flooded; a copy of what
 * is being worked on does no harm. A broker that has lost its queues gets them again.
 */
export const relayOutbox = async (
  { options, remainingMs }: Pick<Run<z.output<typeof schema>>, 'options' | 'remainingMs'>,
  { outbox, publisher, messages, commandQueues, maxDeferrals, now }: Uses,
) => {
  const { olderThanSeconds, againAfterSeconds } = options;
  // One bound for all queues: with a later one for each, a child could be published whose parent was still too young,
  // and its queue would be waited for in vain.
  const olderThan = Math.floor((now() - olderThanSeconds * 1000) * 1000);
  /**
   * While commands of a queue wait for their parents, only what is older than any of them can be: one that never comes
   * must not hold up the others, and what waits is not to be doubled. A command waits a little longer each time than
   * the delay: twice as long at most.
   */
  const olderThanDeferred = Math.min(
    olderThan,
    Math.floor((now() - 2 * maxDeferrals * RETRY_DELAY_MS) * 1000),
  );
  await publisher.declare();

  /** Waits until the consumer has taken in what is ready; what it deferred waits for a parent, perhaps for a later run. */
  const becomesEmpty = async (queue: string): Promise<boolean> => {
    const deadline = now() + STEP_WAIT_MS;
    while (now() < deadline && remainingMs() > 0) {
      const { ready, retry } = await publisher.depth(queue);
      if (ready === 0) return retry === 0;
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
    return false;
  };

  const relay = async (
    queue: string,
    next: (range: { after: number; olderThan: number; count: number }) => Promise<{
      publications: Publication[];
      upTo: number | undefined;
    }>,
  ): Promise<number> => {
    const { ready, retry } = await publisher.depth(queue);
    if (ready > 0) return 0;
    const until = retry === 0 ? olderThan : olderThanDeferred;
    // A pass goes through the outbox from its beginning; a copy that was lost as well is published by the next.
    let pass = await outbox.relayed(queue);
    if (now() - pass.atMs >= againAfterSeconds * 1000) pass = { upTo: 0, atMs: now() };
    let relayed = 0;
    while (remainingMs() > 0) {
      const step = await next({ after: pass.upTo, olderThan: until, count: STEP });
      if (step.upTo === undefined) break;
      await publisher.publish(step.publications);
      relayed += step.publications.length;
      pass = { ...pass, upTo: step.upTo };
      await outbox.noteRelayed(queue, pass);
      if (!(await becomesEmpty(queue))) break;
    }
    return relayed;
  };

  const report: Record<string, number> = {};
  // Parents come first, so that their children need not wait for them.
  for (const queue of commandQueues) {
    report[queue] = await relay(queue, async (range) => {
      const commands = await outbox.commands(queue, range);
      return {
        publications: commands.map(({ commandId, command }) => ({
          queue,
          content: command,
          messageId: String(commandId),
        })),
        upTo: commands.at(-1)?.commandId,
      };
    });
  }
  report['index-message'] = await relay('index-message', async (range) => {
    const refs = await outbox.unindexed(range);
    const rows = await messages.find(refs);
    return {
      publications: rows.map(toIndexPublication),
      upTo: refs.at(-1)?.version,
    };
  });
  return report;
};

export const handler = jobHandler(schema, relayOutbox, {
  outbox,
  publisher,
  messages,
  commandQueues,
  maxDeferrals,
  now,
});
