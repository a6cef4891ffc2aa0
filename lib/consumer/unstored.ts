import type { Publication } from '#lib/rabbitmq/publisher.ts';
import type { Delivery } from './delivery.ts';

/** A message that is not stored, and why. */
export type Unstored = { delivery: Delivery; reason: string };

/** The same message for another queue, with the reason and one attempt more. */
export const publicationOf = (
  queue: string,
  { delivery: { content, messageId, redriven, attempts }, reason }: Unstored,
): Publication => ({
  queue,
  content,
  headers: { attempts: attempts + 1, reason, ...(redriven > 0 ? { redriven } : {}) },
  ...(messageId === undefined ? {} : { messageId }),
});
