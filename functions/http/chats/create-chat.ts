import { createChatCommand } from '#lib/contracts/commands/create-chat.ts';
import { createChat as contract } from '#lib/contracts/http/chats.ts';
import { httpHandler, type Request } from '#lib/http/http-handler.ts';
import { submit } from '#lib/runtime/services/writing.ts';
import type { Submit } from '#lib/writing/submit.ts';

/** Numbers a new chat and submits it; it is stored later. */
export const createChat = async (
  { input: { token, title }, caller, idempotency }: Request<typeof contract>,
  { submit }: { submit: Submit },
) => ({
  chatNumber: await submit(
    createChatCommand,
    { token, title, creatorId: caller.id, generation: caller.generation },
    idempotency,
  ),
});

export const handler = httpHandler(contract, createChat, { submit });
