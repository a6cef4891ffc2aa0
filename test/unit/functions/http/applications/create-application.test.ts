import { expect, it, vi } from 'vitest';
import { createApplication } from '../../../../../functions/http/applications/create-application.ts';
import { functionRequest, idempotencyKey } from '../../../../support/function-request.ts';

it('submits the application as the caller’s own, under its Idempotency-Key, and answers its token', async () => {
  const submit = { application: vi.fn(async () => 'token') };
  const request = functionRequest({ name: 'Support' }, { idempotency: idempotencyKey });
  expect(await createApplication(request, { submit })).toEqual({ token: 'token' });
  expect(submit.application).toHaveBeenCalledExactlyOnceWith(
    { name: 'Support', creatorId: request.caller.id },
    idempotencyKey,
  );
});
