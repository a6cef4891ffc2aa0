import { expect, it } from 'vitest';
import { forbidden } from '#lib/domain/errors.ts';
import { deleteMessage } from '../../../../../functions/http/messages/delete-message.ts';
import { functionRequest } from '../../../../support/function-request.ts';
import { recordingSubmit, refusingSubmit } from '../../../../support/recording-submit.ts';

const input = { token: 'token', chatNumber: 2, messageNumber: 4 };

it.each([undefined, [], [17, 18]])(
  'submits the deletion for the caller, with the expected versions %j, and answers nothing',
  async (expected) => {
    const { submit, submitted } = recordingSubmit();
    expect(await deleteMessage(functionRequest(input, { expected }), { submit })).toEqual({});
    const deletion = { ...input, body: '', deleted: true, callerId: 7, generation: 3, expected };
    expect(submitted).toEqual([['update-message', deletion]]);
  },
);

it('leaves a refusal as it is', async () => {
  const refusal = forbidden('Only its sender may delete it.');
  await expect(deleteMessage(functionRequest(input), { submit: refusingSubmit(refusal) })).rejects.toBe(
    refusal,
  );
});
