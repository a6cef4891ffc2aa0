import { type Message, toIndexable } from '#lib/domain/message.ts';
import type { Publication, Publisher } from '#lib/rabbitmq/publisher.ts';

/** The command that gives a stored message to the index. Its id is the version of the row. */
export const toIndexPublication = (message: Message): Publication => ({
  queue: 'index-message',
  content: JSON.stringify(toIndexable(message)),
  messageId: String(message.version),
});

/** Hands stored messages on to the index through its queue: a search outage never delays MySQL. */
export const createIndexing = ({ publisher }: { publisher: Pick<Publisher, 'publish'> }) => ({
  /** @throws unavailable without a confirm in time. Handing on again is safe: the index keeps the newer version. */
  handOn: (stored: readonly Message[]): Promise<void> => publisher.publish(stored.map(toIndexPublication)),
});

export type Indexing = ReturnType<typeof createIndexing>;
