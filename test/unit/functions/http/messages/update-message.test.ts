import { expect, it, vi } from 'vitest';
import { forbidden } from '#lib/domain/errors.ts';
import type { Message } from '#lib/domain/message.ts';
import type { Submit } from '#lib/writing/submit.ts';
import { updateMessage } from '../../../../../functions/http/messages/update-message.ts';
import { functionRequest } from '../../../../support/function-request.ts';

type Update = Parameters<Submit['messageUpdate']>[0];

const reference = { token: 'token', chatNumber: 2, messageNumber: 4 };
const stored: Message = {
  ...reference,
  senderId: 7,
  senderName: 'Ada',
  body: 'old',
  createdAtMs: 0,
  version: 1,
};
/** Redis knows the sender or not; MySQL has these messages. */
const createUses = ({ isKnown, rows }: { isKnown: boolean; rows: Message[] }) => {
  const submitted: Update[] = [];
  return {
    submitted,
    uses: {
      submit: {
        messageUpdate: async (update: Update) => {
          submitted.push(update);
          return isKnown || update.senderId !== undefined;
        },
      },
      messages: { find: vi.fn(async () => rows) },
    },
  };
};
const request = functionRequest({ ...reference, body: 'new' });
const update = { ...reference, body: 'new', callerId: 7 };

it('submits the new text without a query to MySQL while Redis knows the sender', async () => {
  const { uses, submitted } = createUses({ isKnown: true, rows: [stored] });
  expect(await updateMessage(request, uses)).toEqual({});
  expect(submitted).toEqual([update]);
  expect(uses.messages.find).not.toHaveBeenCalled();
});

it('submits again with the sender of the stored row once Redis has forgotten the sender', async () => {
  const { uses, submitted } = createUses({ isKnown: false, rows: [stored] });
  expect(await updateMessage(request, uses)).toEqual({});
  expect(submitted).toEqual([update, { ...update, senderId: stored.senderId }]);
});

it('answers not-found for a message that neither Redis nor MySQL knows', async () => {
  const { uses, submitted } = createUses({ isKnown: false, rows: [] });
  await expect(updateMessage(request, uses)).rejects.toMatchObject({ code: 'not-found' });
  expect(submitted).toEqual([update]);
});

it('leaves the refusal of another caller as it is', async () => {
  const { uses } = createUses({ isKnown: true, rows: [stored] });
  const refusal = forbidden('Only its sender may change it.');
  const submit = { messageUpdate: () => Promise.reject(refusal) };
  await expect(updateMessage(request, { ...uses, submit })).rejects.toBe(refusal);
  expect(uses.messages.find).not.toHaveBeenCalled();
});
