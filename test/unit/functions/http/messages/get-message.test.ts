import { expect, it } from 'vitest';
import type { Message } from '#lib/domain/message.ts';
import { getMessage } from '../../../../../functions/http/messages/get-message.ts';
import { functionRequest } from '../../../../support/function-request.ts';

const message: Message = {
  token: 'token',
  chatNumber: 2,
  messageNumber: 4,
  senderId: 4711,
  sender: 'adaadaadaadaada7',
  senderName: 'Ada',
  body: 'hello',
  createdAtMs: 0,
  version: 9,
};
const get = (found: Message) =>
  getMessage(functionRequest({ token: 'token', chatNumber: 2, messageNumber: 4 }), {
    conversation: { message: async () => ({ ...found, upTo: 48 }) },
  });
const shown = {
  messageNumber: 4,
  sender: 'adaadaadaadaada7',
  senderName: 'Ada',
  body: 'hello',
  createdAt: '1970-01-01T00:00:00.000Z',
  changeNumber: 9,
};

it('shows the message, its version, and the number up to which it has every change, without the ids that the database gave', async () => {
  expect(await get(message)).toEqual({ ...shown, version: 9, upTo: 48 });
});

it('shows when the message was edited', async () => {
  expect(await get({ ...message, editedAtMs: 1_000 })).toEqual({
    ...shown,
    editedAt: '1970-01-01T00:00:01.000Z',
    version: 9,
    upTo: 48,
  });
});

it.each([undefined, null])('leaves out the sender of an erased account', async (sender) => {
  const { sender: _, ...anonymous } = shown;
  expect(await get({ ...message, sender })).toEqual({ ...anonymous, version: 9, upTo: 48 });
});
