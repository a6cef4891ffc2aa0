import { expect, it } from 'vitest';
import { forbidden } from '#lib/domain/errors.ts';
import { updateApplication } from '../../../../../functions/http/applications/update-application.ts';
import { functionRequest } from '../../../../support/function-request.ts';
import { recordingSubmit, refusingSubmit } from '../../../../support/recording-submit.ts';

const input = { token: 'token', name: 'New' };

it.each([undefined, [], [17, 18]])(
  'submits the new name for the caller, with the expected versions %j, and answers nothing',
  async (expected) => {
    const { submit, submitted } = recordingSubmit();
    expect(await updateApplication(functionRequest(input, { expected }), { submit })).toEqual({});
    expect(submitted).toEqual([['update-application', { ...input, callerId: 7, generation: 3, expected }]]);
  },
);

it('leaves a refusal as it is', async () => {
  const refusal = forbidden('Only its creator may change it.');
  const submit = refusingSubmit(refusal);
  await expect(updateApplication(functionRequest(input), { submit })).rejects.toBe(refusal);
});
