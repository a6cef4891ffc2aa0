import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Position } from '#lib/domain/position.ts';

type Chat = { token: string; chatNumber: number };

const TAG_BYTES = 12;

/**
 * Opaque cursors: a place in one chat, signed, so that one that was tampered with or belongs to another chat is known.
 * @param keys the first signs; the others, from before a rotation, still verify
 */
export const createCursors = (keys: readonly Buffer[]) => {
  const sign = (key: Buffer, place: string, { token, chatNumber }: Chat) =>
    createHmac('sha256', key).update(`${token}:${chatNumber}:${place}`).digest().subarray(0, TAG_BYTES);

  return {
    write: ({ createdAtMs, messageNumber }: Position, chat: Chat): string => {
      const place = `${createdAtMs.toString(36)}.${messageNumber.toString(36)}`;
      const [key] = keys;
      if (key === undefined) throw new Error('No secret to sign cursors with');
      return `${place}.${sign(key, place, chat).toString('base64url')}`;
    },
    /** @returns undefined for what is not a cursor of this chat */
    read: (cursor: string, chat: Chat): Position | undefined => {
      const [, place, createdAt, number, tag] =
        /^(([0-9a-z]{1,11})\.([0-9a-z]{1,7}))\.([A-Za-z0-9_-]{16})$/.exec(cursor) ?? [];
      if (place === undefined || createdAt === undefined || number === undefined || tag === undefined)
        return undefined;
      const given = Buffer.from(tag, 'base64url');
      if (!keys.some((key) => timingSafeEqual(sign(key, place, chat), given))) return undefined;
      return { createdAtMs: Number.parseInt(createdAt, 36), messageNumber: Number.parseInt(number, 36) };
    },
  };
};

export type Cursors = ReturnType<typeof createCursors>;
