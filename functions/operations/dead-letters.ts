import * as z from 'zod';
import { ifAvailable } from '#lib/chat/if-available.ts';
import { queueNames } from '#lib/contracts/commands.ts';
import { unavailable } from '#lib/domain/errors.ts';
import { jobHandler, type Run } from '#lib/job/job-handler.ts';
import type { DeadLetter, DeadLetters } from '#lib/rabbitmq/dead-letters.ts';
import type { Counters } from '#lib/redis/counters.ts';
import { counters, deadLetters } from '#lib/runtime/services.ts';

type Uses = { deadLetters: DeadLetters; counters: Pick<Counters, 'gate'> };

const schema = z
  .object({
    action: z.enum(['list', 'show', 'redrive', 'discard']).default('list'),
    /** All queues when absent; to show or discard, one must be named. */
    queue: z.enum(queueNames).optional(),
    /** Only these commands, by the ids that `list` gives. */
    ids: z.array(z.string()).min(1).optional(),
    /** At most so many of a queue are looked at, oldest first. */
    limit: z.int().min(1).max(10_000).default(1_000),
  })
  .refine(({ action, queue }) => !['show', 'discard'].includes(action) || queue !== undefined, {
    path: ['queue'],
    error: 'Name the queue to show or discard dead letters of: {"queue": "create-message"}',
  });

/** What a list shows of each queue; the rest is counted. An answer of Lambda is 6 MB at most. */
const LISTED = 100;
/** What `show` gives at once, for the same reason. */
const SHOWN_CHARACTERS = 1_000_000;

const parsed = (content: string): unknown => {
  try {
    return JSON.parse(content);
  } catch {
    return content;
  }
};

const place = z.object({
  token: z.string().optional(),
  chatNumber: z.number().optional(),
  messageNumber: z.number().optional(),
});

/** Where the command belongs, without what its user wrote. */
const summaryOf = ({ content, ...letter }: DeadLetter) => ({
  ...letter,
  ...place.safeParse(parsed(content)).data,
});

const shown = (letters: readonly DeadLetter[]) => {
  let characters = 0;
  return letters.flatMap(({ content, ...letter }) => {
    characters += content.length;
    return characters > SHOWN_CHARACTERS ? [] : [{ ...letter, command: parsed(content) }];
  });
};

const byReason = (letters: readonly DeadLetter[]): Record<string, number> => {
  const counts: Record<string, number> = {};
  for (const { reason = 'no reason given' } of letters) counts[reason] = (counts[reason] ?? 0) + 1;
  return counts;
};

/**
 * Lists, shows, redrives or discards commands that were set aside, by queue. A redriven command that is now possible
 * is applied once; one that is not comes back here with its reason.
 *
 * Refuses while numbers are being recovered: dead letters that are looked at or moved meanwhile would be missed, and
 * their numbers given again.
 */
export const handleDeadLetters = async (
  { options: { action, queue, ids, limit } }: Pick<Run<z.output<typeof schema>>, 'options'>,
  { deadLetters, counters }: Uses,
): Promise<Record<string, object>> => {
  const gate = await ifAvailable(counters.gate());
  if (gate?.open === false) {
    throw unavailable('The numbers are being recovered, also from the dead letters; ask again in a minute.');
  }
  const report: Record<string, object> = {};
  // Parents come first, so that what is redriven finds them.
  for (const name of queue === undefined ? queueNames : [queue]) {
    if (action === 'redrive' || action === 'discard') {
      report[name] = await deadLetters[action](name, { ids, limit });
      continue;
    }
    const { held, letters } = await deadLetters.list(name, { ids, limit });
    report[name] =
      action === 'list'
        ? { held, reasons: byReason(letters), letters: letters.slice(0, LISTED).map(summaryOf) }
        : { held, letters: shown(letters) };
  }
  return report;
};

export const handler = jobHandler(schema, handleDeadLetters, { deadLetters, counters }, { logReport: false });
