import type { Written } from '#lib/contracts/commands/command.ts';
import { indexMessageCommand } from '#lib/contracts/commands/index-message.ts';
import { type Message, toIndexable } from '#lib/domain/message.ts';
import type { Publication, Publisher } from '#lib/rabbitmq/publisher.ts';

/** The command that indexes a stored message. Its id is the version of the row. */
export const toIndexPublication = (message: Message): Publication => ({
  queue: indexMessageCommand.queue,
  content: JSON.stringify(toIndexable(message) satisfies Written<typeof indexMessageCommand>),
  messageId: String(message.version),
});

/** Publishes stored messages to the queue of the index, so that a search outage never delays MySQL. */
export const createIndexing = ({ publisher }: { publisher: Pick<Publisher, 'publish'> }) => ({
  /**
   * @throws unavailable without a confirm in time. A repeated call is safe, because the index keeps the
   * newest version.
   */
  handOn: (stored: readonly Message[]): Promise<void> => publisher.publish(stored.map(toIndexPublication)),
});

export type Indexing = ReturnType<typeof createIndexing>;
