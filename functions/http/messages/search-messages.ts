import type { ChatDirectory } from '#lib/chat/chat-directory.ts';
import { ifAvailable } from '#lib/chat/if-available.ts';
import { searchMessages as contract, searchByQuery } from '#lib/contracts/messages.ts';
import { httpHandler, type Request } from '#lib/http/http-handler.ts';
import type { MessageIndex } from '#lib/opensearch/message-index.ts';
import type { Outbox } from '#lib/redis/outbox.ts';
import { chatDirectory, messageIndex, now, outbox } from '#lib/runtime/services.ts';

type Uses = {
  messageIndex: Pick<MessageIndex, 'search'>;
  chatDirectory: Pick<ChatDirectory, 'messagesCount'>;
  outbox: Pick<Outbox, 'oldest'>;
  now: () => number;
};

/** A write is usually found within this time; what is older and still on its way is told to the client. */
const USUAL_LAG_SECONDS = 2;

export const searchMessages = async (
  { input: { token, chatNumber, q, page, limit, highlight, upTo } }: Request<typeof contract>,
  { messageIndex, chatDirectory, outbox, now }: Uses,
) => {
  const [count, oldest] = await Promise.all([
    chatDirectory.messagesCount(token, chatNumber),
    ifAvailable(outbox.oldest(['create-message', 'update-message'])),
  ]);
  const bound = upTo ?? Math.max(1, count);
  const { hits, hasMore } = await messageIndex.search({
    token,
    chatNumber,
    text: q,
    page,
    limit,
    highlight,
    upTo: bound,
  });
  const lagSeconds = oldest === undefined ? 0 : Math.round(now() / 1000 - oldest / 1_000_000);
  return {
    items: hits,
    next: hasMore ? { page: page + 1, upTo: bound } : undefined,
    headers: lagSeconds > USUAL_LAG_SECONDS ? { 'Search-Lag': String(lagSeconds) } : {},
  };
};

export const handler = httpHandler([contract, searchByQuery], searchMessages, {
  messageIndex,
  chatDirectory,
  outbox,
  now,
});
