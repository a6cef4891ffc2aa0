import { markChatRead as contract } from '#lib/contracts/http/chats.ts';
import { httpHandler, type Request } from '#lib/http/http-handler.ts';
import { markRead } from '#lib/runtime/services/writing.ts';
import type { MarkRead } from '#lib/writing/mark-read.ts';

/** Notes how far the caller has read a chat; it is stored later. */
export const markChatRead = (
  { input: { token, chatNumber, messageNumber }, caller }: Request<typeof contract>,
  { markRead }: { markRead: MarkRead },
) => markRead(caller, { token, chatNumber }, messageNumber);

export const handler = httpHandler(contract, markChatRead, { markRead });
