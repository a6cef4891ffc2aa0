import { createHash } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { ConfirmChannel, GetMessage } from 'amqplib';
import { deadQueue } from '#lib/contracts/queues.ts';
import type { Broker } from './connection.ts';
import type { Publication, Publisher } from './publisher.ts';

export type DeadLetter = {
  /** The command's id; without an id, the beginning of the content's SHA-256. */
  id: string;
  reason: string | undefined;
  /** How often the consumer tried it. */
  attempts: number | undefined;
  /** The time at which it became a dead letter, ISO 8601. */
  since: string | undefined;
  /** The bytes that were published. */
  content: Buffer;
};

/** Selects dead letters of a queue: all, or those with these ids. At most `limit` messages are read, oldest first. */
export type Selection = { ids?: readonly string[] | undefined; limit: number };

/** Numbers of messages: in the queue (`held`), read (`looked`), and selected letters (`acted`). */
export type LetterCounts = { held: number; looked: number; acted: number };

/** Messages stay in memory until the end of the walk. */
const MAX_HELD_BYTES = 64 * 1024 * 1024;
/** A quorum queue takes back the messages of a closed channel within this time. */
const RETURN_MS = 5_000;
/** Each read is a round trip. The whole walk stays far below the broker's acknowledgement limit of 30 minutes. */
const WAIT_MS = 120_000;
/** The length of an AMQP short string. */
const MAX_ID_BYTES = 255;

const digestOf = (content: Buffer) => createHash('sha256').update(content).digest('hex');

/** Any program may publish here, so any property may have any value. */
const propertiesOf = ({ properties, content }: GetMessage) => {
  const { messageId, timestamp }: { messageId?: unknown; timestamp?: unknown } = properties;
  const headers: Record<string, unknown> = properties.headers ?? {};
  const since = new Date(typeof timestamp === 'number' ? timestamp * 1000 : Number.NaN);
  return {
    id:
      typeof messageId === 'string' && messageId !== '' && Buffer.byteLength(messageId) <= MAX_ID_BYTES
        ? messageId
        : digestOf(content).slice(0, 16),
    reason: typeof headers.reason === 'string' ? headers.reason : undefined,
    attempts: typeof headers.attempts === 'number' ? headers.attempts : undefined,
    redriven: typeof headers.redriven === 'number' && headers.redriven > 0 ? Math.trunc(headers.redriven) : 0,
    since: Number.isNaN(since.getTime()) ? undefined : since.toISOString(),
  };
};

/** A letter and its copies: messages with the same id and content. */
type Found = { letter: DeadLetter; redriven: number; copies: GetMessage[] };

/**
 * Reads and moves dead letters. Reading leaves a letter in its queue: it is fetched on a separate channel and returns when
 * that channel closes. It also returns after a crash, perhaps in another order.
 */
export const createDeadLetters = (broker: Broker, publisher: Pick<Publisher, 'publish'>) => {
  const collect = async (channel: ConfirmChannel, queue: string, { ids, limit }: Selection, held: number) => {
    const found = new Map<string, Found>();
    let looked = 0;
    for (let bytes = 0; looked < Math.min(limit, held) && bytes < MAX_HELD_BYTES; ) {
      const message = await channel.get(deadQueue(queue));
      if (message === false) break;
      looked += 1;
      const { redriven, ...properties } = propertiesOf(message);
      if (ids !== undefined && !ids.includes(properties.id)) continue;
      bytes += message.content.byteLength;
      const key = `${properties.id}:${digestOf(message.content)}`;
      const known = found.get(key);
      if (known === undefined) {
        const letter = { ...properties, content: message.content };
        found.set(key, { letter, redriven, copies: [message] });
      } else {
        known.copies.push(message);
        known.redriven = Math.max(known.redriven, redriven);
      }
    }
    return { found: [...found.values()], looked };
  };

  /** @param act handles the selected letters before they leave the queue; without it they stay */
  const walk = async (
    queue: string,
    selection: Selection,
    act?: (found: Found[]) => Promise<void>,
  ): Promise<LetterCounts & { letters: DeadLetter[] }> => {
    const { removed, ...handled } = await broker.withOwnChannel(async (channel) => {
      // Letters that arrive during the walk are ignored. Otherwise a redriven command that fails again would circulate.
      const { messageCount: held } = await channel.checkQueue(deadQueue(queue));
      const { found, looked } = await collect(channel, queue, selection, held);
      const copies = found.flatMap((one) => one.copies);
      if (act !== undefined && found.length > 0) {
        await act(found);
        for (const message of copies) channel.ack(message);
      }
      const removed = act === undefined ? 0 : copies.length;
      return { held, looked, acted: found.length, letters: found.map(({ letter }) => letter), removed };
    }, WAIT_MS);
    await returned(queue, handled.held - removed);
    return handled;
  };

  /** Unselected letters return shortly after the channel has closed. The next read must find them. */
  const returned = async (queue: string, expected: number): Promise<void> => {
    const deadline = Date.now() + RETURN_MS;
    while (Date.now() < deadline) {
      const { messageCount } = await broker.withOwnChannel((channel) => channel.checkQueue(deadQueue(queue)));
      if (messageCount >= expected) return;
      await delay(50);
    }
  };

  const countsOf = ({ held, looked, acted }: LetterCounts): LetterCounts => ({ held, looked, acted });

  return {
    /** Reads letters, oldest first. @throws unavailable */
    list: async (queue: string, selection: Selection): Promise<{ held: number; letters: DeadLetter[] }> => {
      const { held, letters } = await walk(queue, selection);
      return { held, letters };
    },
    /**
     * Publishes letters to their queue again, with the same bytes and no earlier attempts. A letter leaves this queue after
     * the confirm. Of several copies only one is published.
     * @throws unavailable; then all letters are still here. Some may also be in their queue, which does no harm.
     */
    redrive: async (queue: string, selection: Selection): Promise<LetterCounts> =>
      countsOf(
        await walk(queue, selection, (found) =>
          publisher.publish(
            found.map(
              ({ letter: { id, content }, redriven }): Publication => ({
                queue,
                content,
                messageId: id,
                headers: { redriven: redriven + 1 },
              }),
            ),
          ),
        ),
      ),
    /** Drops letters for good. @param before runs while they are still in the queue @throws unavailable */
    discard: async (
      queue: string,
      selection: Selection,
      before: (letters: DeadLetter[]) => Promise<void> = async () => undefined,
    ): Promise<LetterCounts> =>
      countsOf(await walk(queue, selection, (found) => before(found.map(({ letter }) => letter)))),
  };
};

export type DeadLetters = ReturnType<typeof createDeadLetters>;
