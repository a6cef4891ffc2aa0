import { updateApplicationCommand } from '#lib/contracts/commands/update-application.ts';
import { updateApplication as contract, updateApplicationByBody } from '#lib/contracts/http/applications.ts';
import { httpHandler, type Request } from '#lib/http/http-handler.ts';
import { submit } from '#lib/runtime/services/writing.ts';
import type { Submit } from '#lib/writing/submit.ts';

/** Submits a new name; readers see it at once, it is stored later. */
export const updateApplication = async (
  { input: { token, name }, caller, expected }: Request<typeof contract>,
  { submit }: { submit: Submit },
) => {
  await submit(updateApplicationCommand, {
    token,
    name,
    callerId: caller.id,
    generation: caller.generation,
    expected,
  });
  return {};
};

export const handler = httpHandler([contract, updateApplicationByBody], updateApplication, { submit });
