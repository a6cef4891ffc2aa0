import { ifAvailable } from '#lib/concurrency/if-available.ts';
import {
  searchMessages as contract,
  searchApplication,
  searchByQuery,
} from '#lib/contracts/http/messages.ts';
import { badInput } from '#lib/domain/errors.ts';
import { limits } from '#lib/domain/limits.ts';
import { pageOf } from '#lib/domain/page.ts';
import { httpHandler, type Request } from '#lib/http/http-handler.ts';
import type { SearchTerms } from '#lib/opensearch/search/message-search.ts';
import type { ApplicationDirectory } from '#lib/reading/applications.ts';
import type { ChatDirectory } from '#lib/reading/chats.ts';
import type { Cursors } from '#lib/reading/cursors.ts';
import type { Search } from '#lib/reading/search.ts';
import type { Outbox } from '#lib/redis/commands/outbox.ts';
import { applicationDirectory, chatDirectory, cursors, search } from '#lib/runtime/services/reading.ts';
import { outbox } from '#lib/runtime/services/redis.ts';
import { now } from '#lib/runtime/services/settings.ts';

type Uses = {
  search: Pick<Search, 'find'>;
  chatDirectory: Pick<ChatDirectory, 'messagesCount'>;
  applicationDirectory: Pick<ApplicationDirectory, 'get'>;
  outbox: Pick<Outbox, 'oldest'>;
  cursors: Pick<Cursors, 'readHit' | 'writeHit'>;
  now: () => number;
};

/** A search of one chat, or of all chats of an application, which has neither `chatNumber` nor `upTo`. */
type Asked = Omit<Request<typeof contract>['input'], 'chatNumber'> & { chatNumber?: number | undefined };

/**
 * Search usually finds a message within this time. If an older one is still pending, the answer has
 * `Search-Lag`.
 */
const USUAL_LAG_SECONDS = 2;

const lagOf = (oldest: number | undefined, nowMs: number): Record<string, string> => {
  const lagSeconds = oldest === undefined ? 0 : Math.round(nowMs / 1000 - oldest / 1_000_000);
  return lagSeconds > USUAL_LAG_SECONDS ? { 'Search-Lag': String(lagSeconds) } : {};
};

const termsOf = ({ token, chatNumber, q, sender, from, to, sort }: Asked): SearchTerms => ({
  token,
  chatNumber,
  text: q,
  sender,
  fromMs: from,
  toMs: to,
  order: q === undefined ? 'newest' : (sort ?? 'best'),
});

/** @returns the highest number of the chat; undefined for an application. @throws not-found, unavailable */
const boundOf = async (
  { token, chatNumber }: Asked,
  { chatDirectory, applicationDirectory }: Uses,
): Promise<number | undefined> => {
  if (chatNumber !== undefined) return Math.max(1, await chatDirectory.messagesCount(token, chatNumber));
  await applicationDirectory.get(token);
  return undefined;
};

export const searchMessages = async (
  { input: asked }: { input: Asked } & Omit<Request<typeof contract>, 'input'>,
  uses: Uses,
) => {
  const { search, outbox, cursors, now } = uses;
  const { chatNumber, page, after, limit, highlight, upTo } = asked;
  const terms = termsOf(asked);
  const place = after === undefined ? undefined : cursors.readHit(after, terms);
  if (after !== undefined && place === undefined) {
    throw badInput([{ path: 'after', message: 'Is not a cursor of this search' }]);
  }
  const [highest, oldest] = await Promise.all([
    boundOf(asked, uses),
    ifAvailable(outbox.oldest(['create-message', 'update-message'])),
  ]);
  const bound = place?.upTo ?? upTo ?? highest;
  const reading = place === undefined ? { page: page ?? 1 } : { after: place };
  const found = await search.find({ ...terms, ...reading, limit, highlight, upTo: bound });
  const { items, isCut } = pageOf(
    found.hits.map(({ position: _position, ...item }) => item),
    { limit },
  );
  const last = isCut ? found.hits[items.length - 1]?.position : found.last;
  const nextPage = (page ?? 1) + 1;
  const byPage = place === undefined && !isCut && nextPage * limit <= limits.searchDepth;
  const next = () =>
    (byPage && chatNumber !== undefined) || last === undefined
      ? { page: nextPage, ...(bound === undefined ? {} : { upTo: bound }) }
      : { after: cursors.writeHit({ ...last, upTo: bound }, terms) };
  return {
    items,
    next: found.hasMore || isCut ? next() : undefined,
    headers: lagOf(oldest, now()),
  };
};

export const handler = httpHandler<typeof contract, Uses>(
  [contract, searchApplication, searchByQuery],
  searchMessages,
  { search, chatDirectory, applicationDirectory, outbox, cursors, now },
);
