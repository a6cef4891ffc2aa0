import { listMessages as contract } from '#lib/contracts/http/messages.ts';
import { badInput } from '#lib/domain/errors.ts';
import { maxMessageBytes, positionOf, toResponse } from '#lib/domain/message.ts';
import { pageOf } from '#lib/domain/page.ts';
import { httpHandler, type Request } from '#lib/http/http-handler.ts';
import type { Conversation } from '#lib/reading/conversation.ts';
import type { Cursors } from '#lib/reading/cursors.ts';
import { conversation, cursors } from '#lib/runtime/services/reading.ts';

type Uses = { conversation: Pick<Conversation, 'page'>; cursors: Pick<Cursors, 'read' | 'write'> };

export const listMessages = async (
  { input: { token, chatNumber, page = 1, limit, before } }: Request<typeof contract>,
  { conversation, cursors }: Uses,
) => {
  const chat = { token, chatNumber };
  const position = before === undefined ? undefined : cursors.read(before, chat);
  if (before !== undefined && position === undefined) {
    throw badInput([{ path: 'before', message: 'Is not a cursor of this chat' }]);
  }
  const found = await conversation.page(chat, {
    before: position,
    skip: (page - 1) * limit,
    count: limit + 1,
  });
  const { items, hasMore } = pageOf(found.map(toResponse), { limit, maxItemBytes: maxMessageBytes });
  const last = found[items.length - 1];
  return {
    items,
    next: hasMore && last !== undefined ? { before: cursors.write(positionOf(last), chat) } : undefined,
  };
};

export const handler = httpHandler<typeof contract, Uses>(contract, listMessages, { conversation, cursors });
