import { expect, it, vi } from 'vitest';
import { createChat } from '../../../../../functions/http/chats/create-chat.ts';
import { functionRequest, idempotencyKey } from '../../../../support/function-request.ts';

it.each(['Billing', undefined])(
  'submits a chat with the title %j by the caller, under its Idempotency-Key, and answers its number',
  async (title) => {
    const submit = { chat: vi.fn(async () => 12) };
    const request = functionRequest({ token: 'token', title }, { idempotency: idempotencyKey });
    expect(await createChat(request, { submit })).toEqual({ chatNumber: 12 });
    expect(submit.chat).toHaveBeenCalledExactlyOnceWith(
      { token: 'token', title, creatorId: request.caller.id },
      idempotencyKey,
    );
  },
);
