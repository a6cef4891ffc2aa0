import { getChat as contract } from '#lib/contracts/http/chats.ts';
import { httpHandler, type Request } from '#lib/http/http-handler.ts';
import type { ChatDirectory } from '#lib/reading/chats.ts';
import { chatDirectory } from '#lib/runtime/services/reading.ts';

type Uses = { chatDirectory: Pick<ChatDirectory, 'get'> };

export const getChat = (
  { input: { token, chatNumber }, caller }: Request<typeof contract>,
  { chatDirectory }: Uses,
) => chatDirectory.get(caller.id, token, chatNumber);

export const handler = httpHandler(contract, getChat, { chatDirectory });
