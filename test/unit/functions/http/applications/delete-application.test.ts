import { expect, it } from 'vitest';
import { forbidden } from '#lib/domain/errors.ts';
import { deleteApplication } from '../../../../../functions/http/applications/delete-application.ts';
import { functionRequest, idempotencyKey } from '../../../../support/function-request.ts';
import { recordingSubmit, refusingSubmit } from '../../../../support/recording-submit.ts';

const input = { token: 'token' };

it.each([undefined, [], [17, 18]])(
  'submits the deletion for the caller, with the expected versions %j and the key, and answers nothing',
  async (expected) => {
    const { submit, submitted } = recordingSubmit();
    const request = functionRequest(input, { expected, idempotency: idempotencyKey });
    expect(await deleteApplication(request, { submit })).toEqual({});
    const deletion = { ...input, deleted: true, callerId: 7, generation: 3, expected };
    expect(submitted).toEqual([['update-application', deletion, idempotencyKey]]);
  },
);

it('leaves a refusal as it is', async () => {
  const refusal = forbidden('Only its creator may delete it.');
  await expect(deleteApplication(functionRequest(input), { submit: refusingSubmit(refusal) })).rejects.toBe(
    refusal,
  );
});
