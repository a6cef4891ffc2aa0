import { createHmac, createSecretKey, type KeyObject, timingSafeEqual } from 'node:crypto';
import type { Position } from '#lib/domain/position.ts';
import type { SearchPosition, SearchTerms } from '#lib/opensearch/search/message-search.ts';

type Chat = { token: string; chatNumber: number };

/** A hit of a search, and the highest message number that a search in one chat looks at. */
export type HitPlace = SearchPosition & { upTo?: number | undefined };

const TAG_BYTES = 12;

/**
 * Opaque, signed cursors of a place in one list. A cursor that was changed or belongs to another list is
 * refused. It contains visible values of its page (times, numbers, a score) and no id.
 * @param secrets keys: the first one signs; the others, from before a rotation, only verify
 */
export const createCursors = (secrets: readonly Buffer[]) => {
  // Importing a key once makes signing five times as fast.
  const keys = secrets.map((secret) => createSecretKey(secret));
  // The kind of the list comes first and free text last, so that no two lists have the same name.
  const sign = (key: KeyObject, place: string, list: string) =>
    createHmac('sha256', key).update(`${place}:${list}`).digest().subarray(0, TAG_BYTES);

  const sealed = (numbers: readonly number[], list: string): string => {
    const place = numbers.map((number) => number.toString(36)).join('.');
    const [key] = keys;
    if (key === undefined) throw new Error('No secret to sign cursors with');
    return `${place}.${sign(key, place, list).toString('base64url')}`;
  };

  const opened = (cursor: string, list: string): number[] | undefined => {
    const [, place, tag] =
      /^([0-9a-z]{1,11}(?:\.[0-9a-z]{1,11}){1,4})\.([A-Za-z0-9_-]{16})$/.exec(cursor) ?? [];
    if (place === undefined || tag === undefined) return undefined;
    const given = Buffer.from(tag, 'base64url');
    if (!keys.some((key) => timingSafeEqual(sign(key, place, list), given))) return undefined;
    return place.split('.').map((number) => Number.parseInt(number, 36));
  };

  const messagesOf = ({ token, chatNumber }: Chat) => `messages:${token}:${chatNumber}`;
  /** All that decides which messages a search finds, and in which order. */
  const hitsOf = ({ token, chatNumber, text, sender, fromMs, toMs, order }: SearchTerms) =>
    `search:${JSON.stringify([token, chatNumber, order, sender, fromMs, toMs, text])}`;

  return {
    /** A place in a chat, for `before`. */
    write: ({ createdAtMs, messageNumber }: Position, chat: Chat): string =>
      sealed([createdAtMs, messageNumber], messagesOf(chat)),
    /** @returns undefined for anything but a cursor of this chat's messages */
    read: (cursor: string, chat: Chat): Position | undefined => {
      const [createdAtMs, messageNumber] = opened(cursor, messagesOf(chat)) ?? [];
      return createdAtMs === undefined || messageNumber === undefined
        ? undefined
        : { createdAtMs, messageNumber };
    },
    /** A place in the hits of a search, for `after`. */
    writeHit: ({ score, createdAtMs, chatNumber, messageNumber, upTo = 0 }: HitPlace, search: SearchTerms) =>
      sealed([score, createdAtMs, chatNumber, messageNumber, upTo], hitsOf(search)),
    /** @returns undefined for anything but a cursor of this search */
    readHit: (cursor: string, search: SearchTerms): HitPlace | undefined => {
      const [score, createdAtMs, chatNumber, messageNumber, upTo] = opened(cursor, hitsOf(search)) ?? [];
      return score === undefined ||
        createdAtMs === undefined ||
        chatNumber === undefined ||
        messageNumber === undefined
        ? undefined
        : { score, createdAtMs, chatNumber, messageNumber, upTo: upTo || undefined };
    },
  };
};

export type Cursors = ReturnType<typeof createCursors>;
