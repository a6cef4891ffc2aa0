import { expect, it } from 'vitest';
import { createApplication } from '../../../../../functions/http/applications/create-application.ts';
import { functionRequest, idempotencyKey } from '../../../../support/function-request.ts';
import { recordingSubmit } from '../../../../support/recording-submit.ts';

it('submits the application as the caller’s own, under its Idempotency-Key, and answers its token', async () => {
  const { submit, submitted } = recordingSubmit('token');
  const request = functionRequest({ name: 'Support' }, { idempotency: idempotencyKey });
  expect(await createApplication(request, { submit })).toEqual({ token: 'token' });
  const token = expect.stringMatching(/^[\w-]{24}$/);
  expect(submitted).toEqual([
    [
      'create-application',
      { token, name: 'Support', creatorId: request.caller.id, generation: 3 },
      idempotencyKey,
    ],
  ]);
});

it('gives every application a token of its own', async () => {
  const { submit, submitted } = recordingSubmit('token');
  for (let i = 0; i < 3; i += 1) await createApplication(functionRequest({ name: 'App' }), { submit });
  expect(new Set(submitted.map(([, given]) => 'token' in given && given.token)).size).toBe(3);
});
