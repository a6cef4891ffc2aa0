import type { Client } from '@opensearch-project/opensearch';
import { createTurns } from '#lib/concurrency/in-turns.ts';
import { mapInSlices } from '#lib/concurrency/map-in-slices.ts';
import { limits } from '#lib/domain/limits.ts';
import { type ChatReference, chatReference, parseChatReference } from '#lib/domain/reference.ts';
import { SearchUnavailable } from '../errors.ts';
import type { IndexDocument } from '../index/document.ts';
import { request } from '../request.ts';
import { parseQueryText } from '../text/query-text.ts';
import { createHighlighter } from './highlights.ts';
import { type Clause, rankedMatch } from './message-query.ts';

/** A place in the order of one search. */
export type SearchPosition = { score: number; createdAtMs: number; messageNumber: number };

export type MessageSearch = ChatReference & {
  /** The query as the user typed it. Quotes make phrases; no other character has a meaning. */
  text: string;
  /** From 1, the default; page × limit is at most `limits.searchDepth`. */
  page?: number;
  /** Continues after this hit of the same search; instead of `page`. */
  after?: SearchPosition | undefined;
  limit: number;
  /** Also returns fragments of each hit as escaped HTML, with the matches in `<em>`. */
  highlight?: boolean;
  /** Leaves out messages with higher numbers, so that new messages do not shift the pages of a search. */
  upTo?: number;
};

export type MessageHit = {
  chatNumber: number;
  messageNumber: number;
  /** The sender's handle. Like the name, undefined in documents from before the index kept it. */
  sender: string | undefined;
  senderName: string | undefined;
  body: string;
  createdAt: string;
  highlights?: string[];
  position: SearchPosition;
};

export type Hit<Source> = {
  _version?: number;
  _source: Source;
  sort?: number[];
};

/** Asks the one shard that has the application. @throws SearchUnavailable instead of returning a partial answer */
export const createFinder =
  ({ client, alias, timeoutMs }: { client: Client; alias: string; timeoutMs: number }) =>
  async <Source>(token: string, body: object): Promise<Hit<Source>[]> => {
    const answer = await request<{
      timed_out: boolean;
      _shards: { failed: number };
      hits: { hits: Hit<Source>[] };
    }>(client, {
      method: 'POST',
      path: `/${alias}/_search`,
      query: {
        routing: token,
        // An application always reads the same copy of its shard, because copies may refresh at different times.
        preference: `app-${token}`,
        allow_partial_search_results: false,
      },
      body: { ...body, timeout: `${timeoutMs}ms`, track_total_hits: false },
      timeoutMs,
    });
    if (answer.body.timed_out || answer.body._shards.failed > 0) {
      throw new SearchUnavailable(`OpenSearch gave only part of an answer within ${timeoutMs} ms`);
    }
    return answer.body.hits.hits;
  };

type Found = Pick<IndexDocument, 'chat' | 'messageNumber' | 'body' | 'original' | 'createdAt' | 'sender'> & {
  senderName?: string;
};

const shownFields = [
  'chat',
  'messageNumber',
  'sender',
  'senderName',
  'body',
  'original',
  'createdAt',
] satisfies (keyof Found)[];

const toHit = ({ _source, sort = [] }: Hit<Found>): MessageHit => {
  const { chat, messageNumber, sender, senderName, body, original, createdAt } = _source;
  const [score = 0, createdAtMs = 0] = sort;
  return {
    chatNumber: parseChatReference(chat).chatNumber,
    messageNumber,
    sender,
    senderName,
    body: original ?? body,
    createdAt,
    position: { score, createdAtMs, messageNumber },
  };
};

type Answer = { hits: MessageHit[]; hasMore: boolean };

/** Highlighted pages with more hits are read one at a time in this process, because their texts may be megabytes. */
const mostHitsAtOnce = 25;

type Find = ReturnType<typeof createFinder>;

/**
 * @param maxWaitMs the longest time for which a large highlighted page waits for others
 * @returns the search of {@link MessageSearch}, best match first, among equals the newest, then the higher number
 */
export const createMessageSearch = (find: Find, maxWaitMs: number) => {
  const searchNow = createSearchNow(find);
  const inTurn = createTurns();
  return (wanted: MessageSearch): Promise<Answer> => {
    if (!wanted.highlight || wanted.limit <= mostHitsAtOnce) return searchNow(wanted);
    const deadline = performance.now() + maxWaitMs;
    return inTurn(async () => {
      if (performance.now() <= deadline) return searchNow(wanted);
      throw new SearchUnavailable(`Other highlighted searches took longer than ${maxWaitMs} ms`);
    });
  };
};

const createSearchNow =
  (find: Find) =>
  async ({
    token,
    chatNumber,
    text,
    page = 1,
    after,
    limit,
    highlight = false,
    upTo,
  }: MessageSearch): Promise<Answer> => {
    const from = (page - 1) * limit;
    if (from + limit > limits.searchDepth) {
      throw new RangeError(
        `page × limit is ${page * limit}; a search reaches ${limits.searchDepth} hits deep`,
      );
    }
    const parsed = parseQueryText(text);
    if (parsed.words.length + parsed.phrases.length === 0) return { hits: [], hasMore: false };
    const within: Clause[] = [{ term: { chat: chatReference({ token, chatNumber }) } }];
    if (upTo !== undefined) within.push({ range: { messageNumber: { lte: upTo } } });
    const found = await find<Found>(token, {
      query: {
        bool: { filter: within, must: [rankedMatch(parsed)], must_not: [{ term: { deleted: true } }] },
      },
      sort: [{ _score: 'desc' }, { createdAt: 'desc' }, { messageNumber: 'desc' }],
      ...(after === undefined
        ? { from }
        : { search_after: [after.score, after.createdAtMs, after.messageNumber] }),
      // One extra hit shows whether there is a next page.
      size: limit + 1,
      _source: shownFields,
    });
    const shown = found.slice(0, limit);
    const hasMore = found.length > limit;
    if (!highlight) return { hits: shown.map(toHit), hasMore };
    const fragmentsOf = createHighlighter(parsed);
    const hits = await mapInSlices(shown, (hit) => ({ ...toHit(hit), highlights: fragmentsOf(hit._source) }));
    return { hits, hasMore };
  };
