import { expect, it } from 'vitest';
import { notFound } from '#lib/domain/errors.ts';
import { getChat } from '../../../../../functions/http/chats/get-chat.ts';
import { functionRequest } from '../../../../support/function-request.ts';

/** A directory that knows chat 2 of one application, and that Ada has read three of its messages. */
const chatDirectory = {
  get: async (userId: number, token: string, chatNumber: number) => {
    if (token !== 'token' || chatNumber !== 2) throw notFound('chat');
    return { chatNumber, title: 'Billing', messagesCount: 5, unreadCount: userId === 7 ? 2 : 5, version: 17 };
  },
};
const get = (token: string, chatNumber: number) =>
  getChat(functionRequest({ token, chatNumber }), { chatDirectory });

it('answers the chat of this number in this application, with the version of its title', async () => {
  expect(await get('token', 2)).toEqual({
    chatNumber: 2,
    title: 'Billing',
    messagesCount: 5,
    version: 17,
    unreadCount: 2,
  });
});

it.each([
  ['other', 2],
  ['token', 3],
] as const)('answers not-found for chat %s/%i', async (token, chatNumber) => {
  await expect(get(token, chatNumber)).rejects.toMatchObject({ code: 'not-found' });
});
