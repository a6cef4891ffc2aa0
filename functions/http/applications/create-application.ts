import { createApplicationCommand } from '#lib/contracts/commands/create-application.ts';
import { createApplication as contract } from '#lib/contracts/http/applications.ts';
import { createToken } from '#lib/domain/token.ts';
import { httpHandler, type Request } from '#lib/http/http-handler.ts';
import { submit } from '#lib/runtime/services/writing.ts';
import type { Submit } from '#lib/writing/submit.ts';

/** Names a new application by a token and submits it; it is stored later. */
export const createApplication = async (
  { input: { name }, caller, idempotency }: Request<typeof contract>,
  { submit }: { submit: Submit },
) => ({
  token: await submit(
    createApplicationCommand,
    { token: createToken(), name, creatorId: caller.id, generation: caller.generation },
    idempotency,
  ),
});

export const handler = httpHandler(contract, createApplication, { submit });
