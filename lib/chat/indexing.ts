import { type Message, toIndexable } from '#lib/domain/message.ts';
import type { Publisher } from '#lib/rabbitmq/publisher.ts';

/** Hands stored messages on to the index, by way of its queue: a search outage never holds up MySQL. */
export const createIndexing = ({ publisher }: { publisher: Publisher }) => ({
  /** @throws unavailable when the broker has not confirmed: hand them on again, the index keeps the newer version */
  handOn: (stored: readonly Message[]): Promise<void> =>
    publisher.publish(
      stored.map((message) => ({
        queue: 'index-message',
        content: JSON.stringify(toIndexable(message)),
        messageId: String(message.version),
      })),
    ),
});

export type Indexing = ReturnType<typeof createIndexing>;
