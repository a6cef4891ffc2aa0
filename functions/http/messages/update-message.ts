import { updateMessageCommand } from '#lib/contracts/commands/update-message.ts';
import { updateMessage as contract, updateMessageByBody } from '#lib/contracts/http/messages.ts';
import { httpHandler, type Request } from '#lib/http/http-handler.ts';
import { submit } from '#lib/runtime/services/writing.ts';
import type { Submit } from '#lib/writing/submit.ts';

/** Submits a new text; readers see it at once, it is stored later. */
export const updateMessage = async (
  { input: { token, chatNumber, messageNumber, body }, caller, expected }: Request<typeof contract>,
  { submit }: { submit: Submit },
) => {
  const edit = {
    token,
    chatNumber,
    messageNumber,
    body,
    callerId: caller.id,
    generation: caller.generation,
    expected,
  };
  await submit(updateMessageCommand, edit);
  return {};
};

export const handler = httpHandler([contract, updateMessageByBody], updateMessage, { submit });
