import { expect, it } from 'vitest';
import { createChat } from '../../../../../functions/http/chats/create-chat.ts';
import { functionRequest, idempotencyKey } from '../../../../support/function-request.ts';
import { recordingSubmit } from '../../../../support/recording-submit.ts';

it.each(['Billing', undefined])(
  'submits a chat with the title %j by the caller, under its Idempotency-Key, and answers its number',
  async (title) => {
    const { submit, submitted } = recordingSubmit(12);
    const request = functionRequest({ token: 'token', title }, { idempotency: idempotencyKey });
    expect(await createChat(request, { submit })).toEqual({ chatNumber: 12 });
    expect(submitted).toEqual([
      ['create-chat', { token: 'token', title, creatorId: request.caller.id, generation: 3 }, idempotencyKey],
    ]);
  },
);
