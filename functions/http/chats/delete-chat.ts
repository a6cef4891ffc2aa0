import { updateChatCommand } from '#lib/contracts/commands/update-chat.ts';
import { deleteChat as contract } from '#lib/contracts/http/chats.ts';
import { httpHandler, type Request } from '#lib/http/http-handler.ts';
import { submit } from '#lib/runtime/services/writing.ts';
import type { Submit } from '#lib/writing/submit.ts';

/** Submits a deletion, which is the last edit of a chat. No reader sees the chat any more; it is erased later. */
export const deleteChat = async (
  { input: { token, chatNumber }, caller, expected, idempotency }: Request<typeof contract>,
  { submit }: { submit: Submit },
) => {
  await submit(
    updateChatCommand,
    { token, chatNumber, deleted: true, callerId: caller.id, generation: caller.generation, expected },
    idempotency,
  );
  return {};
};

export const handler = httpHandler(contract, deleteChat, { submit });
