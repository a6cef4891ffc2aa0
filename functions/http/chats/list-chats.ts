import { listChats as contract } from '#lib/contracts/http/chats.ts';
import { httpHandler, type Request } from '#lib/http/http-handler.ts';
import type { ChatDirectory } from '#lib/reading/chats.ts';
import { chatDirectory } from '#lib/runtime/services/reading.ts';

type Uses = { chatDirectory: Pick<ChatDirectory, 'list'> };

/** A page is a range of numbers, as cheap at the end as at the beginning. Deleted chats are left out of it. */
export const listChats = async (
  { input: { token, page, limit }, caller }: Request<typeof contract>,
  { chatDirectory }: Uses,
) => {
  const range = { skip: (page - 1) * limit, count: limit };
  const { chats, hasMore, upTo } = await chatDirectory.list(caller.id, token, range);
  return { items: chats, upTo, next: hasMore ? { page: page + 1 } : undefined };
};

export const handler = httpHandler(contract, listChats, { chatDirectory });
