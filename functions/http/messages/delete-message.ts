import { updateMessageCommand } from '#lib/contracts/commands/update-message.ts';
import { deleteMessage as contract } from '#lib/contracts/http/messages.ts';
import { httpHandler, type Request } from '#lib/http/http-handler.ts';
import { submit } from '#lib/runtime/services/writing.ts';
import type { Submit } from '#lib/writing/submit.ts';

/** Submits a deletion, which is the last edit of a message. No reader sees the text any more; it is erased later. */
export const deleteMessage = async (
  { input: { token, chatNumber, messageNumber }, caller, expected }: Request<typeof contract>,
  { submit }: { submit: Submit },
) => {
  await submit(updateMessageCommand, {
    token,
    chatNumber,
    messageNumber,
    body: '',
    deleted: true,
    callerId: caller.id,
    generation: caller.generation,
    expected,
  });
  return {};
};

export const handler = httpHandler(contract, deleteMessage, { submit });
