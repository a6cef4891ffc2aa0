import * as z from 'zod';
import { queueNames } from '../../lib/contracts/commands.ts';
import type { DeadLetters } from '../../lib/rabbitmq/dead-letters.ts';
import { type Run, scheduledHandler } from '../../lib/runtime/scheduled-handler.ts';
import { deadLetters } from '../../lib/runtime/services.ts';

type Uses = { deadLetters: DeadLetters };

const schema = z.object({
  action: z.enum(['list', 'redrive', 'discard']).default('list'),
  /** All queues when absent; to discard, one must be named. */
  queue: z.enum(queueNames).optional(),
  /** Only these commands. */
  messageIds: z.array(z.string()).optional(),
  /** At most so many of a queue are looked at. */
  limit: z.int().min(1).max(10_000).default(100),
});

/** Lists, redrives or discards commands that were set aside. A redriven command that is now possible is applied once. */
export const handleDeadLetters = async (
  { options: { action, queue, messageIds, limit } }: Pick<Run<z.output<typeof schema>>, 'options'>,
  { deadLetters }: Uses,
) => {
  if (action === 'discard' && queue === undefined) {
    throw new Error(
      'To discard dead letters, name their queue: {"action": "discard", "queue": "create-message"}',
    );
  }
  const queues = queue === undefined ? queueNames : [queue];
  const report: Record<string, unknown> = {};
  for (const name of queues) {
    const selection = { messageIds, limit };
    if (action === 'list') report[name] = await deadLetters.list(name, selection);
    else report[name] = await deadLetters[action](name, selection);
  }
  return report;
};

export const handler = scheduledHandler(schema, handleDeadLetters, { deadLetters });
