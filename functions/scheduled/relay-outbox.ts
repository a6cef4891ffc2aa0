import * as z from 'zod';
import { toIndexable } from '../../lib/domain/message.ts';
import type { Messages } from '../../lib/mysql/messages.ts';
import type { Publication, Publisher } from '../../lib/rabbitmq/publisher.ts';
import type { Outbox } from '../../lib/redis/outbox.ts';
import { type Run, scheduledHandler } from '../../lib/runtime/scheduled-handler.ts';
import { commandQueues, messages, now, outbox, publisher } from '../../lib/runtime/services.ts';

type Uses = {
  outbox: Pick<Outbox, 'commands' | 'unindexed' | 'relayed' | 'noteRelayed'>;
  publisher: Pick<Publisher, 'publish' | 'depth'>;
  messages: Pick<Messages, 'find'>;
  commandQueues: readonly string[];
  now: () => number;
};

/** A step waits until the queue has taken it in before the next is published. */
const BATCH = 1_000;
const POLL_MS = 200;

const schema = z.object({
  /** Younger commands are on their way by themselves. */
  olderThanSeconds: z.number().min(0).default(30),
  /** What was published again gets this long before it is published once more. */
  againAfterSeconds: z.number().min(0).default(300),
});

/**
 * Publishes again what has lain in the outbox too long: commands whose publish was not confirmed, or which the broker
 * has lost. Only into a queue that is empty, so that one whose consumer is merely slow is never flooded; a copy of what
 * is being worked on does no harm.
 */
export const relayOutbox = async (
  { options, remainingMs }: Pick<Run<z.output<typeof schema>>, 'options' | 'remainingMs'>,
  { outbox, publisher, messages, commandQueues, now }: Uses,
) => {
  const { olderThanSeconds, againAfterSeconds } = options;

  const isEmpty = async (queue: string): Promise<boolean> => {
    const { ready, retry } = await publisher.depth(queue);
    return ready === 0 && retry === 0;
  };
  const becomesEmpty = async (queue: string): Promise<boolean> => {
    while (remainingMs() > 0) {
      if (await isEmpty(queue)) return true;
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
    if (!(await isEmpty(queue))) return 0;
    const before = await outbox.relayed(queue);
    let { upTo } = now() - before.atMs >= againAfterSeconds * 1000 ? { upTo: 0 } : before;
    let relayed = 0;
    while (remainingMs() > 0) {
      const olderThan = Math.floor((now() - olderThanSeconds * 1000) * 1000);
      const step = await next({ after: upTo, olderThan, count: BATCH });
      if (step.upTo === undefined) break;
      await publisher.publish(step.publications);
      relayed += step.publications.length;
      upTo = step.upTo;
      await outbox.noteRelayed(queue, { upTo, atMs: now() });
      if (!(await becomesEmpty(queue))) break;
    }
    return relayed;
  };

  const report: Record<string, number> = {};
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
      publications: rows.map((row) => ({
        queue: 'index-message',
        content: JSON.stringify(toIndexable(row)),
        messageId: String(row.version),
      })),
      upTo: refs.at(-1)?.version,
    };
  });
  return report;
};

export const handler = scheduledHandler(schema, relayOutbox, {
  outbox,
  publisher,
  messages,
  commandQueues,
  now,
});
