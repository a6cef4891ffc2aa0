import { createHash } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { ConfirmChannel, GetMessage } from 'amqplib';
import { deadQueue } from '#lib/contracts/queues.ts';
import { KnownError } from '#lib/domain/errors.ts';
import type { Broker } from './connection.ts';
import type { Publication, Publisher } from './publisher.ts';

export type DeadLetter = {
  /**
   * `<id>.<digest>`: the message's id, or 16 characters of the content's SHA-256 without an id; and 8 characters of the
   * content's SHA-256, because any program may publish a message with any id.
   */
  id: string;
  reason: string | undefined;
  /** How often the consumer tried it. */
  attempts: number | undefined;
  /** The time at which it became a dead letter, ISO 8601. */
  since: string | undefined;
  /** The bytes that were published. */
  content: Buffer;
};

/**
 * Selects dead letters of a queue: all, or those with these ids. An id without its digest selects a letter as well, unless
 * it fits several. At most `limit` messages are read, oldest first.
 */
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
/** Ids in the error about an id that fits several letters. */
const SHOWN_CHOICES = 10;

const digestOf = (content: Buffer) => createHash('sha256').update(content).digest('hex');

/** The reasons for which a broker moves a message to a dead-letter queue. */
const brokerReasons: readonly unknown[] = ['expired', 'rejected', 'maxlen', 'delivery_limit'];

/** The reason of the broker, which it gives in the first entry of the header `x-death`. */
const brokerReasonOf = (headers: Record<string, unknown>): string | undefined => {
  const deaths = headers['x-death'];
  const last: unknown = Array.isArray(deaths) ? deaths[0] : undefined;
  const reason = typeof last === 'object' && last !== null && 'reason' in last ? last.reason : undefined;
  return typeof reason === 'string' && brokerReasons.includes(reason) ? reason : undefined;
};

/** Any program may publish here, so any property may have any value. */
const propertiesOf = ({ properties, content }: GetMessage) => {
  const { messageId: given, timestamp }: { messageId?: unknown; timestamp?: unknown } = properties;
  const headers: Record<string, unknown> = properties.headers ?? {};
  const since = new Date(typeof timestamp === 'number' ? timestamp * 1000 : Number.NaN);
  const digest = digestOf(content);
  const messageId =
    typeof given === 'string' && given !== '' && Buffer.byteLength(given) <= MAX_ID_BYTES
      ? given
      : digest.slice(0, 16);
  return {
    messageId,
    id: `${messageId}.${digest.slice(0, 8)}`,
    reason: typeof headers.reason === 'string' ? headers.reason : brokerReasonOf(headers),
    attempts: typeof headers.attempts === 'number' ? headers.attempts : undefined,
    redriven: typeof headers.redriven === 'number' && headers.redriven > 0 ? Math.trunc(headers.redriven) : 0,
    since: Number.isNaN(since.getTime()) ? undefined : since.toISOString(),
  };
};

/** A letter and its copies: messages with the same id and content. */
type Found = { letter: DeadLetter; messageId: string; redriven: number; copies: GetMessage[] };

/** The ids that select a letter: with and without its digest. */
const idsOf = ({ letter, messageId }: Found): string[] => [letter.id, messageId];

/** @returns an error for the first id that fits letters of several contents */
const findAmbiguity = (found: readonly Found[], ids: readonly string[]): Error | undefined => {
  const byId = Map.groupBy(
    found.flatMap((one) => idsOf(one).map((id) => ({ id, one }))),
    ({ id }) => id,
  );
  for (const id of ids) {
    const fitting = (byId.get(id) ?? []).map(({ one }) => one);
    if (fitting.length <= 1) continue;
    const choices = fitting.slice(0, SHOWN_CHOICES).map(({ letter }) => letter.id);
    return new KnownError('bad-input', `"${id}" fits several letters: choose among ${choices.join(', ')}.`);
  }
  return undefined;
};

/**
 * A channel holds back acknowledgements while a quorum queue has not applied 32 earlier ones, and forgets them when it
 * closes. The queue applies a `get` after all earlier acknowledgements, so only two chunks are ever on their way. The
 * message of the `get` returns when the channel closes.
 */
const ACKNOWLEDGED_AT_ONCE = 15;

const acknowledge = async (
  channel: ConfirmChannel,
  queue: string,
  messages: readonly GetMessage[],
): Promise<void> => {
  for (let from = 0; from < messages.length; from += ACKNOWLEDGED_AT_ONCE) {
    for (const message of messages.slice(from, from + ACKNOWLEDGED_AT_ONCE)) channel.ack(message);
    await channel.get(deadQueue(queue));
  }
};

/**
 * Reads and moves dead letters. Reading leaves a letter in its queue: it is fetched on a separate channel and returns when
 * that channel closes. It also returns after a crash, perhaps in another order.
 */
export const createDeadLetters = (broker: Broker, publisher: Pick<Publisher, 'publish'>) => {
  const collect = async (channel: ConfirmChannel, queue: string, { ids, limit }: Selection, held: number) => {
    const wanted = ids && new Set(ids);
    const found = new Map<string, Found>();
    const others = new Map<string, Found>();
    let looked = 0;
    let otherBytes = 0;
    for (let bytes = 0; looked < Math.min(limit, held) && bytes < MAX_HELD_BYTES; ) {
      const message = await channel.get(deadQueue(queue));
      if (message === false) break;
      looked += 1;
      const { redriven, messageId, ...properties } = propertiesOf(message);
      const letter = { ...properties, content: message.content };
      const one: Found = { letter, messageId, redriven, copies: [message] };
      const isWanted = wanted === undefined || idsOf(one).some((id) => wanted.has(id));
      if (isWanted) bytes += message.content.byteLength;
      else otherBytes += message.content.byteLength;
      if (!isWanted && otherBytes > MAX_HELD_BYTES) continue;
      const among = isWanted ? found : others;
      const key = `${messageId}:${digestOf(message.content)}`;
      const known = among.get(key);
      if (known === undefined) {
        among.set(key, one);
      } else {
        known.copies.push(message);
        known.redriven = Math.max(known.redriven, redriven);
      }
    }
    return { found: [...found.values()], others: [...others.values()], looked };
  };

  /**
   * @param act handles the selected letters before they leave the queue; without it they stay
   * @throws bad-input for an id that fits several letters; then all stay
   */
  const walk = async (
    queue: string,
    selection: Selection,
    act?: (found: Found[], others: Found[]) => Promise<void>,
  ): Promise<LetterCounts & { letters: DeadLetter[] }> => {
    const { removed, ambiguity, ...handled } = await broker.withOwnChannel(async (channel) => {
      // Letters that arrive during the walk are ignored. Otherwise a redriven command that fails again would circulate.
      const { messageCount: held } = await channel.checkQueue(deadQueue(queue));
      const { found, others, looked } = await collect(channel, queue, selection, held);
      const ambiguity = findAmbiguity(found, selection.ids ?? []);
      const copies = act === undefined || ambiguity !== undefined ? [] : found.flatMap((one) => one.copies);
      if (copies.length > 0) {
        await act?.(found, others);
        await acknowledge(channel, queue, copies);
      }
      const letters = found.map(({ letter }) => letter);
      return { held, looked, acted: found.length, letters, removed: copies.length, ambiguity };
    }, WAIT_MS);
    await returned(queue, handled.held - removed);
    if (ambiguity !== undefined) throw ambiguity;
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
              ({ letter: { content }, messageId, redriven }): Publication => ({
                queue,
                content,
                messageId,
                headers: { redriven: redriven + 1 },
              }),
            ),
          ),
        ),
      ),
    /**
     * Drops letters for good. @param before runs while they are still in the queue; `others` are the letters that stay, as
     * far as they were read @throws unavailable
     */
    discard: async (
      queue: string,
      selection: Selection,
      before: (letters: DeadLetter[], others: DeadLetter[]) => Promise<void> = async () => undefined,
    ): Promise<LetterCounts> =>
      countsOf(
        await walk(queue, selection, (found, others) =>
          before(
            found.map(({ letter }) => letter),
            others.map(({ letter }) => letter),
          ),
        ),
      ),
  };
};

export type DeadLetters = ReturnType<typeof createDeadLetters>;
