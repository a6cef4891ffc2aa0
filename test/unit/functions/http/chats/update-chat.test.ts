import { expect, it } from 'vitest';
import { forbidden } from '#lib/domain/errors.ts';
import { updateChat } from '../../../../../functions/http/chats/update-chat.ts';
import { functionRequest } from '../../../../support/function-request.ts';
import { recordingSubmit, refusingSubmit } from '../../../../support/recording-submit.ts';

const chat = { token: 'token', chatNumber: 2 };

it.each([
  [undefined, 'New'],
  [[], 'New'],
  [[17, 18], undefined],
])(
  'submits the title for the caller, with the expected versions %j, and answers nothing: %s',
  async (expected, title) => {
    const { submit, submitted } = recordingSubmit();
    expect(await updateChat(functionRequest({ ...chat, title }, { expected }), { submit })).toEqual({});
    expect(submitted).toEqual([['update-chat', { ...chat, title, callerId: 7, generation: 3, expected }]]);
  },
);

it('leaves a refusal as it is', async () => {
  const refusal = forbidden('Only its creator may change it.');
  const request = functionRequest({ ...chat, title: 'New' });
  await expect(updateChat(request, { submit: refusingSubmit(refusal) })).rejects.toBe(refusal);
});
