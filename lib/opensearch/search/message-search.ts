import type { Client } from '@opensearch-project/opensearch';
import { createTurns } from '#lib/concurrency/in-turns.ts';
import { mapInSlices } from '#lib/concurrency/map-in-slices.ts';
import { limits } from '#lib/domain/limits.ts';
import { chatReference, parseChatReference } from '#lib/domain/reference.ts';
import { SearchUnavailable } from '../errors.ts';
import type { IndexDocument } from '../index/document.ts';
import { request } from '../request.ts';
import { parseQueryText } from '../text/query-text.ts';
import { createHighlighter } from './highlights.ts';
import { type Clause, rankedMatch } from './message-query.ts';

/** A place in the order of one search. `score` is 0 in a search by time. */
export type SearchPosition = {
  score: number;
  createdAtMs: number;
  chatNumber: number;
  messageNumber: number;
};

/** What a search looks for. It has a text, a sender, or both. */
export type SearchTerms = {
  token: string;
  /** Absent for all chats of the application. */
  chatNumber?: number | undefined;
  /** The query as the user typed it. Quotes make phrases; no other character has a meaning. */
  text?: string | undefined;
  /** The handle of the sender. */
  sender?: string | undefined;
  /** `fromMs` ≤ createdAt < `toMs`. */
  fromMs?: number | undefined;
  toMs?: number | undefined;
  /** The best match first, which needs a text and is its default; or the newest first, the default without a text. */
  order?: 'best' | 'newest';
};

export type MessageSearch = SearchTerms & {
  /** From 1, the default; page × limit is at most `limits.searchDepth`. */
  page?: number;
  /** Continues after this hit of the same search; instead of `page`. */
  after?: SearchPosition | undefined;
  limit: number;
  /** Also returns fragments of each hit as escaped HTML, with the matches in `<em>`. */
  highlight?: boolean;
  /** Leaves out messages with higher numbers, so that new messages do not shift the pages of a search in one chat. */
  upTo?: number | undefined;
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

const toHit = ({ _source, sort = [] }: Hit<Found>, order: Order): MessageHit => {
  const { chat, messageNumber, sender, senderName, body, original, createdAt } = _source;
  const { chatNumber } = parseChatReference(chat);
  const score = order[0] === 'score' ? (sort[0] ?? 0) : 0;
  return {
    chatNumber,
    messageNumber,
    sender,
    senderName,
    body: original ?? body,
    createdAt,
    position: { score, createdAtMs: Date.parse(createdAt), chatNumber, messageNumber },
  };
};

type Answer = { hits: MessageHit[]; hasMore: boolean };

/** Highlighted pages with more hits are read one at a time in this process, because their texts may be megabytes. */
const mostHitsAtOnce = 25;

type Find = ReturnType<typeof createFinder>;

/**
 * @param maxWaitMs the longest time for which a large highlighted page waits for others
 * @returns the search of {@link MessageSearch}. Among equals the newest comes first, then the higher numbers
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

type Order = readonly (keyof SearchPosition)[];

/** Every order is total, so that a search continues after any hit. */
const orderOf = ({ text, order = 'best', chatNumber }: SearchTerms): Order => [
  ...(text !== undefined && order === 'best' ? (['score'] as const) : []),
  'createdAtMs',
  ...(chatNumber === undefined ? (['chatNumber'] as const) : []),
  'messageNumber',
];

const fieldOf: Record<keyof SearchPosition, string> = {
  score: '_score',
  createdAtMs: 'createdAt',
  chatNumber: 'chatNumber',
  messageNumber: 'messageNumber',
};

/** Times before 1970, which no message has, have no form in milliseconds that the server reads. */
const toEpoch = (ms: number) => Math.max(0, ms);

const filterOf = ({ token, chatNumber, sender, fromMs, toMs, upTo }: MessageSearch): Clause[] => {
  const createdAt = {
    ...(fromMs === undefined ? {} : { gte: toEpoch(fromMs) }),
    ...(toMs === undefined ? {} : { lt: toEpoch(toMs) }),
  };
  return [
    chatNumber === undefined
      ? { term: { application: token } }
      : { term: { chat: chatReference({ token, chatNumber }) } },
    ...(upTo === undefined ? [] : [{ range: { messageNumber: { lte: upTo } } }]),
    ...(sender === undefined ? [] : [{ term: { sender } }]),
    ...(fromMs === undefined && toMs === undefined
      ? []
      : [{ range: { createdAt: { ...createdAt, format: 'epoch_millis' } } }]),
  ];
};

const createSearchNow =
  (find: Find) =>
  async (wanted: MessageSearch): Promise<Answer> => {
    const { token, text, page = 1, after, limit, highlight = false } = wanted;
    const from = (page - 1) * limit;
    if (from + limit > limits.searchDepth) {
      throw new RangeError(
        `page × limit is ${page * limit}; a search reaches ${limits.searchDepth} hits deep`,
      );
    }
    const parsed = text === undefined ? undefined : parseQueryText(text);
    if (parsed !== undefined && parsed.words.length + parsed.phrases.length === 0)
      return { hits: [], hasMore: false };
    const order = orderOf(wanted);
    const found = await find<Found>(token, {
      query: {
        bool: {
          filter: filterOf(wanted),
          must: parsed === undefined ? [] : [rankedMatch(parsed)],
          must_not: [{ term: { deleted: true } }],
        },
      },
      sort: order.map((key) => ({ [fieldOf[key]]: 'desc' })),
      ...(after === undefined ? { from } : { search_after: order.map((key) => after[key]) }),
      // One extra hit shows whether there is a next page.
      size: limit + 1,
      _source: shownFields,
    });
    const shown = found.slice(0, limit);
    const hasMore = found.length > limit;
    if (!highlight || parsed === undefined) return { hits: shown.map((hit) => toHit(hit, order)), hasMore };
    const fragmentsOf = createHighlighter(parsed);
    const hits = await mapInSlices(shown, (hit) => ({
      ...toHit(hit, order),
      highlights: fragmentsOf(hit._source),
    }));
    return { hits, hasMore };
  };
