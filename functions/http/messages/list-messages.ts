import type { Conversation } from '#lib/chat/conversation.ts';
import type { Cursors } from '#lib/chat/cursors.ts';
import { listMessages as contract } from '#lib/contracts/messages.ts';
import { badInput } from '#lib/domain/errors.ts';
import { type Message, positionOf, toResponse } from '#lib/domain/message.ts';
import { httpHandler, type Request } from '#lib/http/http-handler.ts';
import { conversation, cursors } from '#lib/runtime/services.ts';

type Uses = { conversation: Conversation; cursors: Cursors };

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
  const items: Message[] = found.slice(0, limit);
  const last = items.at(-1);
  return {
    items: items.map(toResponse),
    next:
      found.length > limit && last !== undefined
        ? { before: cursors.write(positionOf(last), chat) }
        : undefined,
  };
};

export const handler = httpHandler(contract, listMessages, { conversation, cursors });
