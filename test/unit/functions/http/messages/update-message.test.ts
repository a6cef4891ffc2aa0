import { expect, it } from 'vitest';
import { forbidden } from '#lib/domain/errors.ts';
import { updateMessage } from '../../../../../functions/http/messages/update-message.ts';
import { functionRequest } from '../../../../support/function-request.ts';
import { recordingSubmit, refusingSubmit } from '../../../../support/recording-submit.ts';

const input = { token: 'token', chatNumber: 2, messageNumber: 4, body: 'new' };

it.each([undefined, [], [17, 18]])(
  'submits the new text for the caller, with the expected versions %j, and answers nothing',
  async (expected) => {
    const { submit, submitted } = recordingSubmit();
    expect(await updateMessage(functionRequest(input, { expected }), { submit })).toEqual({});
    expect(submitted).toEqual([['update-message', { ...input, callerId: 7, generation: 3, expected }]]);
  },
);

it('leaves a refusal as it is', async () => {
  const refusal = forbidden('Only its sender may change it.');
  const submit = refusingSubmit(refusal);
  await expect(updateMessage(functionRequest(input), { submit })).rejects.toBe(refusal);
});
