import { expect, it } from 'vitest';
import type { ChatReference } from '#lib/domain/reference.ts';
import { markChatRead } from '../../../../../functions/http/chats/mark-chat-read.ts';
import { functionRequest } from '../../../../support/function-request.ts';

it('raises the marker of the caller in this chat, and answers the present one', async () => {
  const raised: unknown[] = [];
  const markRead = async (...given: [{ id: number }, ChatReference, number]) => {
    raised.push(given);
    return { messageNumber: 9, unreadCount: 3 };
  };
  const request = functionRequest({ token: 'token', chatNumber: 2, messageNumber: 5 });
  expect(await markChatRead(request, { markRead })).toEqual({ messageNumber: 9, unreadCount: 3 });
  expect(raised).toEqual([[request.caller, { token: 'token', chatNumber: 2 }, 5]]);
});
