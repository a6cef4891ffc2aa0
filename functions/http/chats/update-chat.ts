import { updateChatCommand } from '#lib/contracts/commands/update-chat.ts';
import { updateChat as contract } from '#lib/contracts/http/chats.ts';
import { httpHandler, type Request } from '#lib/http/http-handler.ts';
import { submit } from '#lib/runtime/services/writing.ts';
import type { Submit } from '#lib/writing/submit.ts';

/** Submits a new title, or none; readers see it at once, it is stored later. */
export const updateChat = async (
  { input: { token, chatNumber, title }, caller, expected }: Request<typeof contract>,
  { submit }: { submit: Submit },
) => {
  await submit(updateChatCommand, {
    token,
    chatNumber,
    title,
    callerId: caller.id,
    generation: caller.generation,
    expected,
  });
  return {};
};

export const handler = httpHandler(contract, updateChat, { submit });
