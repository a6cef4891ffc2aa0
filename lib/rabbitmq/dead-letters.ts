import type { ConfirmChannel, GetMessage } from 'amqplib';
import type { Broker } from './connection.ts';
import { deadQueue } from './topology.ts';

export type DeadLetter = {
  messageId: string | undefined;
  reason: string | undefined;
  attempts: number | undefined;
  /** Seconds since the epoch, as it was published. */
  timestamp: number | undefined;
  content: string;
};

/** Which of a queue's dead letters: all, or those with these message ids; at most `limit` are looked at. */
export type Selection = { messageIds?: readonly string[] | undefined; limit: number };

const toDeadLetter = ({ properties, content }: GetMessage): DeadLetter => ({
  messageId: properties.messageId,
  reason: properties.headers?.reason,
  attempts: properties.headers?.attempts,
  timestamp: properties.timestamp,
  content: content.toString('utf8'),
});

/** Commands that were set aside. What is only looked at stays, in its order. */
export const createDeadLetters = (broker: Broker) => {
  const isSelected = ({ messageIds }: Selection, message: GetMessage) =>
    messageIds === undefined || messageIds.includes(message.properties.messageId);

  /** Takes messages off the queue one by one, and puts back those for which `act` is false. */
  const walk = (
    queue: string,
    selection: Selection,
    act: (channel: ConfirmChannel, message: GetMessage) => Promise<boolean>,
  ): Promise<number> =>
    broker.withChannel(async (channel) => {
      const back: GetMessage[] = [];
      let acted = 0;
      try {
        for (let looked = 0; looked < selection.limit; looked += 1) {
          const message = await channel.get(deadQueue(queue));
          if (message === false) break;
          if (isSelected(selection, message) && (await act(channel, message))) {
            channel.ack(message);
            acted += 1;
          } else back.push(message);
        }
      } finally {
        for (const message of back) channel.reject(message, true);
      }
      return acted;
    });

  return {
    list: async (queue: string, selection: Selection): Promise<DeadLetter[]> => {
      const letters: DeadLetter[] = [];
      await walk(queue, selection, async (_channel, message) => {
        letters.push(toDeadLetter(message));
        return false;
      });
      return letters;
    },
    /** Publishes them to their queue again, confirmed before they leave this one. @returns how many */
    redrive: (queue: string, selection: Selection): Promise<number> =>
      walk(queue, selection, async (channel, message) => {
        const { messageId, timestamp } = message.properties;
        await new Promise<void>((resolve, reject) => {
          channel.publish(
            '',
            queue,
            message.content,
            {
              persistent: true,
              contentType: 'application/json',
              contentEncoding: 'utf-8',
              timestamp,
              messageId,
              headers: { redriven: 1 },
            },
            (error) => (error ? reject(error) : resolve()),
          );
        });
        return true;
      }),
    /** Drops them for good. @returns how many */
    discard: (queue: string, selection: Selection): Promise<number> =>
      walk(queue, selection, async () => true),
  };
};

export type DeadLetters = ReturnType<typeof createDeadLetters>;
