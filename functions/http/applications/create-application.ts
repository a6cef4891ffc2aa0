import { randomBytes } from 'node:crypto';
import type { Acceptance } from '#lib/chat/acceptance.ts';
import { createApplication as contract } from '#lib/contracts/applications.ts';
import { httpHandler, type Request } from '#lib/http/http-handler.ts';
import { acceptance, now } from '#lib/runtime/services.ts';

type Uses = { acceptance: Acceptance; now: () => number };

export const createApplication = async (
  { input, caller, idempotency }: Request<typeof contract>,
  { acceptance, now }: Uses,
) => ({
  token: await acceptance.application(
    {
      token: randomBytes(18).toString('base64url'),
      name: input.name,
      creatorId: caller.id,
      date: new Date(now()).toISOString(),
    },
    { callerId: caller.id, target: 'applications', idempotencyKey: idempotency?.key },
  ),
});

export const handler = httpHandler(contract, createApplication, { acceptance, now });
