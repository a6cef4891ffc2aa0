import { ifAvailable } from '#lib/concurrency/if-available.ts';
import { searchMessages as contract, searchByQuery } from '#lib/contracts/http/messages.ts';
import { badInput } from '#lib/domain/errors.ts';
import { limits } from '#lib/domain/limits.ts';
import { pageOf } from '#lib/domain/page.ts';
import { httpHandler, type Request } from '#lib/http/http-handler.ts';
import type { ChatDirectory } from '#lib/reading/chats.ts';
import type { Cursors } from '#lib/reading/cursors.ts';
import type { Search } from '#lib/reading/search.ts';
import type { Outbox } from '#lib/redis/commands/outbox.ts';
import { chatDirectory, cursors, search } from '#lib/runtime/services/reading.ts';
import { outbox } from '#lib/runtime/services/redis.ts';
import { now } from '#lib/runtime/services/settings.ts';

type Uses = {
  search: Pick<Search, 'find'>;
  chatDirectory: Pick<ChatDirectory, 'messagesCount'>;
  outbox: Pick<Outbox, 'oldest'>;
  cursors: Pick<Cursors, 'readHit' | 'writeHit'>;
  now: () => number;
};

/**
 * Search usually finds a message within this time. If an older one is still pending, the answer has
 * `Search-Lag`.
 */
const USUAL_LAG_SECONDS = 2;

const lagOf = (oldest: number | undefined, nowMs: number): Record<string, string> => {
  const lagSeconds = oldest === undefined ? 0 : Math.round(nowMs / 1000 - oldest / 1_000_000);
  return lagSeconds > USUAL_LAG_SECONDS ? { 'Search-Lag': String(lagSeconds) } : {};
};

export const searchMessages = async (
  { input: { token, chatNumber, q: text, page, after, limit, highlight, upTo } }: Request<typeof contract>,
  { search, chatDirectory, outbox, cursors, now }: Uses,
) => {
  const asked = { token, chatNumber, text };
  const place = after === undefined ? undefined : cursors.readHit(after, asked);
  if (after !== undefined && place === undefined) {
    throw badInput([{ path: 'after', message: 'Is not a cursor of this search' }]);
  }
  const [count, oldest] = await Promise.all([
    chatDirectory.messagesCount(token, chatNumber),
    ifAvailable(outbox.oldest(['create-message', 'update-message'])),
  ]);
  const bound = place?.upTo ?? upTo ?? Math.max(1, count);
  const reading = place === undefined ? { page: page ?? 1 } : { after: place };
  const { hits, hasMore } = await search.find({
    ...asked,
    ...reading,
    limit,
    highlight,
    upTo: bound,
  });
  const { items, isCut } = pageOf(
    hits.map(({ position: _position, ...item }) => item),
    { limit },
  );
  const last = hits[items.length - 1]?.position;
  const nextPage = (page ?? 1) + 1;
  const byPage = place === undefined && !isCut && nextPage * limit <= limits.searchDepth;
  const next = () =>
    byPage || last === undefined
      ? { page: nextPage, upTo: bound }
      : { after: cursors.writeHit({ ...last, upTo: bound }, asked) };
  return {
    items,
    next: hasMore || isCut ? next() : undefined,
    headers: lagOf(oldest, now()),
  };
};

export const handler = httpHandler([contract, searchByQuery], searchMessages, {
  search,
  chatDirectory,
  outbox,
  cursors,
  now,
});
