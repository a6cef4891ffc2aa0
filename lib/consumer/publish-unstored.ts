import { createHash } from 'node:crypto';
import { deadQueue, retryQueue } from '#lib/contracts/queues.ts';
import type { LetterNotes } from '#lib/mysql/letter-notes.ts';
import type { Publication, Publisher } from '#lib/rabbitmq/publisher.ts';
import { logger } from '#lib/runtime/logger.ts';
import type { Delivery } from './delivery.ts';

export type Unstored = { delivery: Delivery; reason: string };

/** Command ids in one log line. */
const LOGGED_IDS = 20;

const publicationOf = (
  queue: string,
  { delivery: { content, messageId, redriven }, reason }: Unstored,
  attempts: number,
): Publication => ({
  queue,
  content,
  headers: { attempts, reason, ...(redriven > 0 ? { redriven } : {}) },
  ...(messageId === undefined ? {} : { messageId }),
});

/** Other programs may give a message any text as its id. */
const loggedId = ({ messageId }: Delivery): string | undefined =>
  messageId !== undefined && /^\d{1,20}$/.test(messageId) ? messageId : undefined;

/** Identifies a dead letter by its command and by how often the command was redriven. */
const digestOf = (queue: string, { content, messageId, redriven }: Delivery): string =>
  createHash('sha256')
    .update(JSON.stringify([queue, messageId ?? null, redriven]))
    .update(content)
    .digest('base64url');

/** Publishes the commands of a queue that are not stored. Both functions return once the broker has confirmed. */
export const createUnstoredPublisher = (
  queue: string,
  { publisher, letterNotes }: { publisher: () => Pick<Publisher, 'publish'>; letterNotes: () => LetterNotes },
) => ({
  /** Publishes to `<queue>.retry`, which leads back to the queue. @throws unavailable */
  defer: async (items: readonly Unstored[]): Promise<void> => {
    if (items.length === 0) return;
    await publisher().publish(
      items.map((item) => publicationOf(retryQueue(queue), item, item.delivery.attempts + 1)),
    );
  },

  /**
   * Publishes to `<queue>.dead`, once for each command and redrive. A process that is killed between the
   * confirm and its note may leave a second copy.
   * @throws unavailable
   */
  deadLetter: async (items: readonly Unstored[]): Promise<void> => {
    if (items.length === 0) return;
    const byDigest = new Map(items.map((item) => [digestOf(queue, item.delivery), item]));
    const known = await letterNotes().findNoted([...byDigest.keys()]);
    const letters = [...byDigest].filter(([digest]) => !known.has(digest));
    if (letters.length === 0) return;
    await publisher().publish(
      letters.map(([, item]) => publicationOf(deadQueue(queue), item, item.delivery.attempts + 1)),
    );
    await letterNotes().add(letters.map(([digest]) => digest));
    logger.error('Commands became dead letters', {
      code: 'dead-letters',
      queue,
      count: letters.length,
      commandIds: letters.slice(0, LOGGED_IDS).map(([, { delivery }]) => loggedId(delivery)),
      reason: letters[0]?.[1].reason,
    });
  },
});
