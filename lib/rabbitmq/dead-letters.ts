import { createHash } from 'node:crypto';
import type { ConfirmChannel, GetMessage } from 'amqplib';
import type { Broker } from './connection.ts';
import type { Publication, Publisher } from './publisher.ts';
import { deadQueue } from './topology.ts';

export type DeadLetter = {
  /** Its message id (the command's id); of one without, the beginning of its content's SHA-256. */
  id: string;
  reason: string | undefined;
  /** How often it was tried. */
  attempts: number | undefined;
  /** When it was set aside, ISO 8601. */
  since: string | undefined;
  content: string;
};

/** Which of a queue's dead letters: all, or those with these ids; at most `limit` are looked at, oldest first. */
export type Selection = { ids?: readonly string[] | undefined; limit: number };

/** `looked` of `held` that the queue held were looked at; `acted` on is how many were selected. */
export type Walked = { held: number; looked: number; acted: number };

/** What is looked at is held in memory until the end. */
const MAX_HELD_BYTES = 64 * 1024 * 1024;
/** More than a quorum queue takes to have back what a channel held. */
const RETURN_MS = 5_000;
/** Each look is a round trip; all stay well within the broker's own limit for acknowledging (30 minutes). */
const WAIT_MS = 120_000;

const toDeadLetter = ({ properties, content }: GetMessage): DeadLetter => ({
  id: properties.messageId ?? createHash('sha256').update(content).digest('hex').slice(0, 16),
  reason: properties.headers?.reason,
  attempts: properties.headers?.attempts,
  since: properties.timestamp === undefined ? undefined : new Date(properties.timestamp * 1000).toISOString(),
  content: content.toString('utf8'),
});

/**
 * Commands that were set aside. What is only looked at stays: it is taken off the queue on a channel of
 * its own and goes back when that closes. When this process dies meanwhile it goes back too, maybe in another order.
 */
export const createDeadLetters = (broker: Broker, publisher: Pick<Publisher, 'publish'>) => {
  /** @param act what is done with those selected, before they leave the queue; without it they stay */
  const walk = async (
    queue: string,
    { ids, limit }: Selection,
    act?: (letters: DeadLetter[]) => Promise<void>,
  ): Promise<Walked & { letters: DeadLetter[] }> => {
    const walked = await broker.withOwnChannel(async (channel: ConfirmChannel) => {
      // What is set aside from now on is not met: a redriven command that fails again would go round for ever.
      const { messageCount: held } = await channel.checkQueue(deadQueue(queue));
      const selected: { message: GetMessage; letter: DeadLetter }[] = [];
      let looked = 0;
      for (let bytes = 0; looked < Math.min(limit, held) && bytes < MAX_HELD_BYTES; ) {
        const message = await channel.get(deadQueue(queue));
        if (message === false) break;
        looked += 1;
        const letter = toDeadLetter(message);
        if (ids !== undefined && !ids.includes(letter.id)) continue;
        bytes += message.content.byteLength;
        selected.push({ message, letter });
      }
      const letters = selected.map(({ letter }) => letter);
      if (act !== undefined && letters.length > 0) {
        await act(letters);
        for (const { message } of selected) channel.ack(message);
      }
      return { held, looked, acted: letters.length, letters };
    }, WAIT_MS);
    await returned(queue, walked.held - (act === undefined ? 0 : walked.acted));
    return walked;
  };

  /** Those that were only looked at go back with the channel, a moment later: whoever looks next is to find them. */
  const returned = async (queue: string, expected: number): Promise<void> => {
    const deadline = Date.now() + RETURN_MS;
    while (Date.now() < deadline) {
      const { messageCount } = await broker.withOwnChannel((channel) => channel.checkQueue(deadQueue(queue)));
      if (messageCount >= expected) return;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  };

  const counts = ({ held, looked, acted }: Walked): Walked => ({ held, looked, acted });

  return {
    /** Looks at them, oldest first. @throws unavailable */
    list: async (queue: string, selection: Selection): Promise<{ held: number; letters: DeadLetter[] }> => {
      const { held, letters } = await walk(queue, selection);
      return { held, letters };
    },
    /**
     * Publishes them to their queue again, confirmed before they leave this one, as if they had never been tried.
     * @throws unavailable: then all are still here, and some may be in their queue as well, which does no harm
     */
    redrive: async (queue: string, selection: Selection): Promise<Walked> =>
      counts(
        await walk(queue, selection, (letters) =>
          publisher.publish(
            letters.map(
              ({ id, content }): Publication => ({
                queue,
                content,
                messageId: id,
                headers: { redriven: 1 },
              }),
            ),
          ),
        ),
      ),
    /** Drops them for good. @throws unavailable */
    discard: async (queue: string, selection: Selection): Promise<Walked> =>
      counts(await walk(queue, selection, async () => undefined)),
  };
};

export type DeadLetters = ReturnType<typeof createDeadLetters>;
