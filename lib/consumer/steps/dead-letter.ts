import { createHash } from 'node:crypto';
import { deadQueue } from '#lib/contracts/queues.ts';
import { logger } from '#lib/runtime/logger.ts';
import type { Delivery } from '../delivery.ts';
import type { ConsumerServices } from '../services.ts';
import { publicationOf, type Unstored } from '../unstored.ts';

/** Command ids in one log line. */
const LOGGED_IDS = 20;

/** Other programs may give a message any text as its id. */
const loggedId = ({ messageId }: Delivery): string | undefined =>
  messageId !== undefined && /^\d{1,20}$/.test(messageId) ? messageId : undefined;

/** Identifies a dead letter by its command and by how often the command was redriven. */
const identityOf = (queue: string, { content, messageId, redriven }: Delivery): string =>
  createHash('sha256')
    .update(JSON.stringify([queue, messageId ?? null, redriven]))
    .update(content)
    .digest('base64url');

/**
 * Returns a function that publishes messages to `<queue>.dead`, once for each command and redrive, and returns once the broker
 * has confirmed. A process that is killed between the confirm and its note may leave a second copy.
 * @throws unavailable
 */
export const createDeadLetter =
  (queue: string, { publisher, letterNotes }: Pick<ConsumerServices, 'publisher' | 'letterNotes'>) =>
  async (items: readonly Unstored[]): Promise<void> => {
    if (items.length === 0) return;
    const byIdentity = new Map(items.map((item) => [identityOf(queue, item.delivery), item]));
    const known = await letterNotes().findNoted([...byIdentity.keys()]);
    const letters = [...byIdentity].filter(([identity]) => !known.has(identity));
    if (letters.length === 0) return;
    await publisher().publish(letters.map(([, item]) => publicationOf(deadQueue(queue), item)));
    await letterNotes().add(letters.map(([identity]) => identity));
    logger.error('Commands became dead letters', {
      code: 'dead-letters',
      queue,
      count: letters.length,
      commandIds: letters.slice(0, LOGGED_IDS).map(([, { delivery }]) => loggedId(delivery)),
      reason: letters[0]?.[1].reason,
    });
  };
