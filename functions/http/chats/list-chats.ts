import { listChats as contract } from '#lib/contracts/http/chats.ts';
import { httpHandler, type Request } from '#lib/http/http-handler.ts';
import type { ChatDirectory } from '#lib/reading/chats.ts';
import { chatDirectory } from '#lib/runtime/services/reading.ts';

type Uses = { chatDirectory: Pick<ChatDirectory, 'list'> };

/** Chats are numbered without a gap: a page is a range of numbers, as cheap at the end as at the beginning. */
export const listChats = async (
  { input: { token, page, limit }, caller }: Request<typeof contract>,
  { chatDirectory }: Uses,
) => {
  const found = await chatDirectory.list(caller.id, token, { skip: (page - 1) * limit, count: limit + 1 });
  return { items: found.slice(0, limit), next: found.length > limit ? { page: page + 1 } : undefined };
};

export const handler = httpHandler(contract, listChats, { chatDirectory });
