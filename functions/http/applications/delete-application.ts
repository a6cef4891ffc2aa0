import { updateApplicationCommand } from '#lib/contracts/commands/update-application.ts';
import { deleteApplication as contract } from '#lib/contracts/http/applications.ts';
import { httpHandler, type Request } from '#lib/http/http-handler.ts';
import { submit } from '#lib/runtime/services/writing.ts';
import type { Submit } from '#lib/writing/submit.ts';

/** Submits a deletion, which is the last edit of an application. No reader sees it or its chats any more. */
export const deleteApplication = async (
  { input: { token }, caller, expected, idempotency }: Request<typeof contract>,
  { submit }: { submit: Submit },
) => {
  await submit(
    updateApplicationCommand,
    { token, deleted: true, callerId: caller.id, generation: caller.generation, expected },
    idempotency,
  );
  return {};
};

export const handler = httpHandler(contract, deleteApplication, { submit });
