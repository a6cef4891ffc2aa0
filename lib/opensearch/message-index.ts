import type { Client } from '@opensearch-project/opensearch';
import type { IndexableMessage } from '#lib/domain/message.ts';
import { type BulkResult, createBulkWriter } from './bulk.ts';
import { documentId, type IndexedVersion, type MessageRef } from './document.ts';
import { SearchUnavailable } from './errors.ts';
import { type IndexShape, messageIndexBody, schema } from './message-index-body.ts';
import { type Clause, marks, rankedMatch } from './message-query.ts';
import { parseQueryText } from './query-text.ts';
import { createRebuilds, type Rebuild } from './rebuild.ts';
import { request } from './request.ts';

/** The deepest hit a search reaches: page × limit. What lies deeper is found by a better query. */
export const maxSearchDepth = 10_000;
/** Where the mapping's `integer` ends: a bound beyond it is none, and would be refused. */
const highestNumber = 2 ** 31 - 1;

export type MessageIndexOptions = Partial<IndexShape> & {
  client: Client;
  /** Put before every index and alias name, so that several can share a server. */
  prefix?: string;
  /** A search that has no answer by then fails. */
  searchTimeoutMs?: number;
  /** One bulk request that has no answer by then is tried again. */
  writeTimeoutMs?: number;
};

type MessageSearch = {
  token: string;
  chatNumber: number;
  /** What the user typed, at most some hundred characters; quotes make phrases, nothing else has a meaning. */
  text: string;
  /** From 1; page × limit is at most {@link maxSearchDepth}. */
  page: number;
  limit: number;
  /** Also give fragments of each hit as HTML, escaped, with what matched in `<em>`. */
  highlight?: boolean;
  /** Leave out messages numbered higher: pages of one search don't shift while new messages arrive. */
  upTo?: number;
};

type MessageHit = { messageNumber: number; body: string; createdAt: string; highlights?: string[] };

export type MessageIndex = {
  /**
   * Creates the index behind its alias unless there is one; may run twice at once.
   * @returns whether the index was made by an older schema and wants a rebuild
   * @throws SearchUnavailable
   */
  prepare(): Promise<{ outdated: boolean }>;
  /**
   * Writes messages, in one bulk request of some megabytes at a time. A message of which the index has the same or
   * a newer version counts as written. `refused` holds what can never be indexed.
   * @throws IndexRetryLater when some could not be written now; write all of them again later
   */
  write(messages: readonly IndexableMessage[]): Promise<BulkResult>;
  /**
   * Best match first; among equals the newest, then the higher number.
   * @throws SearchUnavailable
   * @throws RangeError when page × limit is over {@link maxSearchDepth}
   */
  search(wanted: MessageSearch): Promise<{ hits: MessageHit[]; hasMore: boolean }>;
  /** @throws SearchUnavailable unless the index can answer */
  ping(): Promise<void>;
  /** Starts a rebuild, or picks up one that was left. See {@link Rebuild}. @throws SearchUnavailable */
  beginRebuild(): Promise<Rebuild>;
  /**
   * The version the index holds of each message, by {@link documentId}; undefined where it has none.
   * Sees what was written a moment ago, refreshed or not. @throws SearchUnavailable
   */
  fetchVersions(refs: readonly MessageRef[]): Promise<Map<string, number | undefined>>;
  /**
   * What the index holds of a chat, by number, after `afterNumber`: what MySQL hasn't is too much.
   * Sees what search sees. @throws SearchUnavailable
   */
  listVersions(chat: {
    token: string;
    chatNumber: number;
    afterNumber: number;
    limit: number;
  }): Promise<IndexedVersion[]>;
  /** Removes messages from the index; those not there count as removed. @throws IndexRetryLater */
  remove(refs: readonly MessageRef[]): Promise<void>;
  /** Makes all that was written visible to search now. For tests and tools. @throws SearchUnavailable */
  refresh(): Promise<void>;
};

type SearchAnswer = {
  timed_out: boolean;
  _shards: { failed: number };
  hits: {
    hits: {
      _version?: number;
      _source: { messageNumber: number; body: string; createdAt: string };
      highlight?: Record<string, string[]>;
    }[];
  };
};

const chatKey = ({ token, chatNumber }: { token: string; chatNumber: number }) => `${token}:${chatNumber}`;

/** Marks that only a sign stands between become one: `<em>2.6</em>.<em>8</em>` is one version number. */
const joinMarks = (html: string) => html.replace(/<\/em>((?:[^\s<>&\p{L}\p{N}]|&#x2F;|&#x27;)?)<em>/gu, '$1');

export const createMessageIndex = (options: MessageIndexOptions): MessageIndex => {
  const { client, prefix = '', searchTimeoutMs = 3_000, writeTimeoutMs = 10_000 } = options;
  const alias = `${prefix}messages`;
  const buildingAlias = `${alias}-building`;
  const body = messageIndexBody({
    shards: options.shards ?? 1,
    replicas: options.replicas ?? 0,
    refreshIntervalMs: options.refreshIntervalMs ?? 500,
  });
  const bulk = createBulkWriter({ client, alias, buildingAlias, timeoutMs: writeTimeoutMs });
  const rebuilds = createRebuilds({ client, alias, buildingAlias, body, writeTimeoutMs, bulk });

  const find = async (wanted: { routing: string; body: object }) => {
    const answer = await request<SearchAnswer>(client, {
      method: 'POST',
      path: `/${alias}/_search`,
      query: {
        routing: wanted.routing,
        // The same copy of the shard for the same application: copies may differ in what they show already.
        preference: `app-${wanted.routing}`,
        allow_partial_search_results: false,
      },
      body: { ...wanted.body, timeout: `${searchTimeoutMs}ms`, track_total_hits: false },
      timeoutMs: searchTimeoutMs,
    });
    if (answer.body.timed_out || answer.body._shards.failed > 0) {
      throw new SearchUnavailable(`OpenSearch gave only part of an answer within ${searchTimeoutMs} ms`);
    }
    return answer.body.hits.hits;
  };

  return {
    prepare: async () => {
      const current = await rebuilds.schemaOf(alias);
      if (current !== undefined) return { outdated: current < schema };
      await rebuilds.createIndex(`${alias}-000001`, alias);
      return { outdated: false };
    },

    write: (messages) => bulk.write(messages),

    search: async ({ token, chatNumber, text, page, limit, highlight, upTo }) => {
      const from = (page - 1) * limit;
      if (from + limit > maxSearchDepth) {
        throw new RangeError(`page × limit is ${page * limit}; a search reaches ${maxSearchDepth} hits deep`);
      }
      const parsed = parseQueryText(text);
      if (parsed.words.length + parsed.phrases.length === 0) return { hits: [], hasMore: false };
      const within: Clause[] = [{ term: { chat: chatKey({ token, chatNumber }) } }];
      if (upTo !== undefined && upTo < highestNumber) {
        within.push({ range: { messageNumber: { lte: upTo } } });
      }
      const found = await find({
        routing: token,
        body: {
          query: { bool: { filter: within, must: [rankedMatch(parsed)] } },
          sort: [{ _score: 'desc' }, { createdAt: 'desc' }, { messageNumber: 'desc' }],
          from,
          // One more than asked for tells whether there is more.
          size: Math.min(limit + 1, maxSearchDepth - from),
          _source: ['messageNumber', 'body', 'createdAt'],
          ...(highlight && {
            highlight: {
              encoder: 'html',
              number_of_fragments: 3,
              fragment_size: 160,
              fields: Object.fromEntries(
                Object.entries(marks(parsed)).map(([field, query]) => [field, { highlight_query: query }]),
              ),
            },
          }),
        },
      });
      return {
        hits: found.slice(0, limit).map(({ _source, highlight: marked }) => ({
          messageNumber: _source.messageNumber,
          body: _source.body,
          createdAt: _source.createdAt,
          ...(highlight && { highlights: (Object.values(marked ?? {})[0] ?? []).map(joinMarks) }),
        })),
        hasMore: found.length > limit,
      };
    },

    ping: async () => {
      const { body } = await request<{ status: string; timed_out: boolean }>(client, {
        method: 'GET',
        path: `/_cluster/health/${alias}`,
        query: { wait_for_status: 'yellow', timeout: '1s' },
        timeoutMs: searchTimeoutMs,
        expected: [408],
      });
      if (body.timed_out || body.status === 'red')
        throw new SearchUnavailable('OpenSearch: a shard of the index is red');
    },

    beginRebuild: () => rebuilds.begin(),

    fetchVersions: async (refs) => {
      const versions = new Map<string, number | undefined>();
      if (refs.length === 0) return versions;
      const { body } = await request<{
        docs: { _id: string; found?: boolean; _version?: number; error?: object }[];
      }>(client, {
        method: 'POST',
        path: `/${alias}/_mget`,
        query: { _source: false },
        body: { docs: refs.map((ref) => ({ _id: documentId(ref), routing: ref.token })) },
        timeoutMs: writeTimeoutMs,
      });
      for (const doc of body.docs) {
        if (doc.error) throw new SearchUnavailable('OpenSearch could not read from a shard of the index');
        versions.set(doc._id, doc.found ? doc._version : undefined);
      }
      return versions;
    },

    listVersions: async ({ token, chatNumber, afterNumber, limit }) => {
      const found = await find({
        routing: token,
        body: {
          query: {
            bool: {
              filter: [
                { term: { chat: chatKey({ token, chatNumber }) } },
                { range: { messageNumber: { gt: afterNumber } } },
              ],
            },
          },
          sort: [{ messageNumber: 'asc' }],
          size: limit,
          version: true,
          _source: ['messageNumber'],
        },
      });
      return found.map(({ _source, _version }) => ({
        messageNumber: _source.messageNumber,
        version: _version ?? 0,
      }));
    },

    remove: (refs) => bulk.remove(refs),

    refresh: async () => {
      await request(client, { method: 'POST', path: `/${alias}/_refresh`, timeoutMs: writeTimeoutMs });
    },
  };
};
