import { listMessages as contract } from '#lib/contracts/http/messages.ts';
import { badInput } from '#lib/domain/errors.ts';
import { maxMessageBytes, positionOf, toResponse } from '#lib/domain/message.ts';
import { pageOf } from '#lib/domain/page.ts';
import type { ChatReference } from '#lib/domain/reference.ts';
import { httpHandler, type Request } from '#lib/http/http-handler.ts';
import type { Conversation } from '#lib/reading/conversation.ts';
import type { Cursors } from '#lib/reading/cursors.ts';
import { conversation, cursors } from '#lib/runtime/services/reading.ts';

type Uses = { conversation: Pick<Conversation, 'page'>; cursors: Pick<Cursors, 'read' | 'write'> };

/** @throws bad-input for anything but a cursor of this chat */
const placeOf = (name: 'before' | 'after', cursor: string, chat: ChatReference, cursors: Uses['cursors']) => {
  const place = cursors.read(cursor, chat);
  if (place === undefined) throw badInput([{ path: name, message: 'Is not a cursor of this chat' }]);
  return place;
};

type Query = { before?: string | undefined; after?: string | undefined; page: number };

/**
 * The links of a page lead from its last message on, and from its first one back. An empty page has its own place
 * instead. Nothing is known to be newer than a first page, nor older than one from the start.
 */
const linksOf = (
  { first, last, hasMore }: { first: string | undefined; last: string | undefined; hasMore: boolean },
  { before, after, page }: Query,
) => {
  const older = (from: string) => ({ before: from });
  const newer = (from: string) => ({ after: from });
  const [onwards, back] = after === undefined ? [older, newer] : [newer, older];
  const place = after === 'start' ? undefined : (after ?? before);
  const backFrom = page > 1 || place !== undefined ? (first ?? place) : undefined;
  return {
    next: hasMore && last !== undefined ? onwards(last) : undefined,
    prev: backFrom === undefined ? undefined : back(backFrom),
  };
};

export const listMessages = async (
  { input: { token, chatNumber, page = 1, limit, before, after } }: Request<typeof contract>,
  { conversation, cursors }: Uses,
) => {
  const chat = { token, chatNumber };
  const { messages: found, upTo } = await conversation.page(chat, {
    before: before === undefined ? undefined : placeOf('before', before, chat, cursors),
    after: after === undefined || after === 'start' ? after : placeOf('after', after, chat, cursors),
    skip: (page - 1) * limit,
    count: limit + 1,
  });
  const { items, hasMore } = pageOf(found.map(toResponse), { limit, maxItemBytes: maxMessageBytes });
  const cursorAt = (index: number) => {
    const message = found[index];
    return message === undefined ? undefined : cursors.write(positionOf(message), chat);
  };
  const [first, last] = [cursorAt(0), cursorAt(items.length - 1)];
  return { items, upTo, ...linksOf({ first, last, hasMore }, { before, after, page }) };
};

export const handler = httpHandler<typeof contract, Uses>(contract, listMessages, { conversation, cursors });
