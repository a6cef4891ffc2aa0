import * as z from 'zod';
import { ifAvailable } from '#lib/concurrency/if-available.ts';
import { queueNames } from '#lib/contracts/commands/all.ts';
import { unavailable } from '#lib/domain/errors.ts';
import { type JobContext, jobHandler } from '#lib/job/job-handler.ts';
import type { RecoveryState } from '#lib/mysql/progress.ts';
import type { DeadLetter, DeadLetters } from '#lib/rabbitmq/dead-letters.ts';
import type { Gate } from '#lib/redis/gate/gate.ts';
import { recoveryState } from '#lib/runtime/services/mysql.ts';
import { deadLetters } from '#lib/runtime/services/rabbitmq.ts';
import { gate } from '#lib/runtime/services/redis.ts';
import { lettersOfDeleted } from '#lib/runtime/services/upkeep.ts';
import type { LettersOfDeleted } from '#lib/upkeep/letters.ts';

type Uses = {
  deadLetters: DeadLetters;
  lettersOfDeleted: () => LettersOfDeleted;
  gate: Pick<Gate, 'status'>;
  recoveryState: () => Pick<RecoveryState, 'release'>;
};

const schema = z
  .strictObject({
    action: z.enum(['list', 'show', 'redrive', 'discard']).default('list'),
    /** Default: all queues. `show` and `discard` require a queue. */
    queue: z.enum(queueNames).optional(),
    /** Selects commands by the ids that `list` returns. The part before the last point is enough if it fits one letter. */
    ids: z.array(z.string()).min(1).optional(),
    /** The most letters to read from a queue, oldest first. */
    limit: z.int().min(1).max(10_000).default(1_000),
  })
  .refine(({ ids, queue }) => ids === undefined || queue !== undefined, {
    path: ['queue'],
    error: 'Name the queue of these ids: {"queue": "create-message", "ids": ["…"]}',
  })
  .refine(({ action, queue }) => !['show', 'discard'].includes(action) || queue !== undefined, {
    path: ['queue'],
    error: 'Name the queue to show or discard dead letters of: {"queue": "create-message"}',
  });

/** The most letters of a queue in a list; the rest is only counted. A Lambda response has at most 6 MB. */
const LISTED = 100;
/** The most text that `show` returns, in total and of one letter. JSON may write a byte as six characters. */
const SHOWN_BYTES = 500_000;
const SHOWN_BYTES_OF_ONE = 250_000;

/**
 * Deeper JSON than that of a command is shown as text. Serializing it could fail and hide all other letters.
 */
const MAX_DEPTH = 5;

const isShallow = (value: unknown, depth = MAX_DEPTH): boolean =>
  typeof value !== 'object' ||
  value === null ||
  (depth > 0 && Object.values(value).every((inner) => isShallow(inner, depth - 1)));

/**
 * The command, or the text of a letter that is not a command. Only this text replaces bytes that are not
 * UTF-8.
 */
const shownContent = (content: Buffer): unknown => {
  const text = content.toString('utf8', 0, SHOWN_BYTES_OF_ONE);
  if (content.byteLength > SHOWN_BYTES_OF_ONE) return `${text}… (${content.byteLength} bytes)`;
  try {
    const value: unknown = JSON.parse(text);
    return isShallow(value) ? value : text;
  } catch {
    return text;
  }
};

const place = z.object({
  token: z.string().optional(),
  chatNumber: z.number().optional(),
  messageNumber: z.number().optional(),
});

/** The token and numbers of the command, without text of users. */
const summaryOf = ({ content, ...letter }: DeadLetter) => ({
  ...letter,
  ...place.safeParse(shownContent(content)).data,
});

/** Letters with their commands. Of a deleted message or chat only its place is shown. */
const shown = (letters: readonly DeadLetter[], deleted: ReadonlySet<DeadLetter>) => {
  let bytes = 0;
  return letters.flatMap((letter): object[] => {
    if (deleted.has(letter)) return [{ ...summaryOf(letter), deleted: true }];
    const { content, ...facts } = letter;
    bytes += Math.min(content.byteLength, SHOWN_BYTES_OF_ONE);
    return bytes > SHOWN_BYTES ? [] : [{ ...facts, command: shownContent(content) }];
  });
};

const ours = z.object({ commandId: z.int().min(1), epoch: z.int().min(1) });

/** The ids of commands of this API. A message id is no proof: any program may publish a message with any id. */
const commandIdsOf = (letters: readonly DeadLetter[]): number[] =>
  letters.flatMap(({ content }) => ours.safeParse(shownContent(content)).data?.commandId ?? []);

/** Discarded commands end their reservations, unless another letter with the same id stays. */
const idsToRelease = (discarded: readonly DeadLetter[], others: readonly DeadLetter[]): number[] => {
  const kept = new Set(commandIdsOf(others));
  return commandIdsOf(discarded).filter((id) => !kept.has(id));
};

const byReason = (letters: readonly DeadLetter[]): Record<string, number> => {
  const counts: Record<string, number> = {};
  for (const { reason = 'no reason given' } of letters) counts[reason] = (counts[reason] ?? 0) + 1;
  return counts;
};

/**
 * Lists, shows, redrives or discards dead letters, by queue. A redriven command is applied once, or becomes a
 * dead letter again.
 *
 * Refuses while the gate is closed: a recovery could miss letters that are read or moved meanwhile, and give
 * their numbers again.
 */
export const handleDeadLetters = async (
  { options: { action, queue, ids, limit } }: Pick<JobContext<z.output<typeof schema>>, 'options'>,
  { deadLetters, lettersOfDeleted, gate, recoveryState }: Uses,
): Promise<Record<string, object>> => {
  if ((await ifAvailable(gate.status()))?.isOpen === false) {
    throw unavailable('The numbers are being recovered. Try again in a minute.');
  }
  const report: Record<string, object> = {};
  // Parents come first, so that redriven children find them.
  for (const name of queue === undefined ? queueNames : [queue]) {
    if (action === 'redrive') {
      report[name] = await deadLetters.redrive(name, { ids, limit });
      continue;
    }
    if (action === 'discard') {
      report[name] = await deadLetters.discard(name, { ids, limit }, (letters, others) =>
        recoveryState().release(idsToRelease(letters, others)),
      );
      continue;
    }
    const { held, letters } = await deadLetters.list(name, { ids, limit });
    report[name] =
      action === 'list'
        ? { held, reasons: byReason(letters), letters: letters.slice(0, LISTED).map(summaryOf) }
        : { held, letters: shown(letters, await lettersOfDeleted()(name, letters)) };
  }
  return report;
};

export const handler = jobHandler(
  schema,
  handleDeadLetters,
  {
    deadLetters,
    lettersOfDeleted: () => lettersOfDeleted,
    gate,
    recoveryState: () => recoveryState,
  },
  { logReport: false },
);
