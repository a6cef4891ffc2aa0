import type { Client } from '@opensearch-project/opensearch';
import {
  type ChatReference,
  chatReference,
  type MessageReference,
  messageReference,
} from '#lib/domain/reference.ts';
import { SearchUnavailable } from '../errors.ts';
import { request } from '../request.ts';
import {
  createFinder,
  createMessageSearch,
  type MessageHit,
  type MessageSearch,
} from '../search/message-search.ts';
import { type BulkResult, createBulkWriter } from './bulk.ts';
import type { IndexedMessage } from './document.ts';
import { type IndexShape, messageIndexBody, schema } from './message-index-body.ts';
import { createRebuilds, type Rebuild } from './rebuild.ts';

export type MessageIndexOptions = Partial<IndexShape> & {
  client: Client;
  /** Precedes every index and alias name, so that several installations can share a server. */
  prefix?: string;
  /** A search without an answer fails after this time. */
  searchTimeoutMs?: number;
  /** A bulk request without an answer is tried again after this time. */
  writeTimeoutMs?: number;
};

/** A document as a reconciliation compares it. Functions of an earlier release write no `sender`. */
export type DocumentState = { version: number; sender?: string | undefined };

export type MessageIndex = {
  /**
   * Creates the index and its alias unless they exist. May run twice at once. Lets an index of an older schema accept
   * the messages of this one.
   * @returns whether the index has an older schema and needs a rebuild
   * @throws SearchUnavailable
   */
  prepare(): Promise<{ outdated: boolean }>;
  /**
   * Writes messages in bulk requests of bounded size, one after another. A message counts as written if the index has
   * the same or a newer version. `refused` contains the messages that can never be indexed.
   * @throws IndexRetryLater if some could not be written now; write all of them again later
   */
  write<Message extends IndexedMessage>(messages: readonly Message[]): Promise<BulkResult<Message>>;
  /**
   * Best match first; among equals the newest, then the higher number.
   * @throws SearchUnavailable
   * @throws RangeError if page × limit exceeds `limits.searchDepth`
   */
  search(wanted: MessageSearch): Promise<{ hits: MessageHit[]; hasMore: boolean }>;
  /** @throws SearchUnavailable unless the index can answer */
  ping(): Promise<void>;
  /** Starts a rebuild or continues an unfinished one. See {@link Rebuild}. @throws SearchUnavailable */
  beginRebuild(): Promise<Rebuild>;
  /**
   * The version and the sender of each message in the index, by {@link messageReference}; nothing for a missing message.
   * Sees every confirmed write, even before search does. @throws SearchUnavailable
   */
  fetchStates(refs: readonly MessageReference[]): Promise<Map<string, DocumentState>>;
  /**
   * Removes messages of chats, also from an index under construction, some thousands at most.
   * @returns their number; 0 if none is left. @throws SearchUnavailable
   */
  removeChats(chats: readonly ChatReference[]): Promise<number>;
  /** Removes messages from the index. Missing ones count as removed. @throws IndexRetryLater */
  remove(refs: readonly MessageReference[]): Promise<void>;
};

/** The most messages of a call that removes chats. */
const REMOVED_TOGETHER = 2_000;

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

  const find = createFinder({ client, alias, timeoutMs: searchTimeoutMs });

  return {
    prepare: async () => {
      const current = await rebuilds.schemaOf(alias);
      if (current !== undefined && current < schema) {
        await rebuilds.admit();
        return { outdated: true };
      }
      if (current !== undefined) return { outdated: false };
      await rebuilds.createIndex(`${alias}-000001`, alias);
      return { outdated: false };
    },

    write: (messages) => bulk.write(messages),

    search: createMessageSearch(find, 2 * searchTimeoutMs),

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

    fetchStates: async (refs) => {
      const states = new Map<string, DocumentState>();
      if (refs.length === 0) return states;
      const { body } = await request<{
        docs: {
          _id: string;
          found?: boolean;
          _version?: number;
          _source?: { sender?: string };
          error?: object;
        }[];
      }>(client, {
        method: 'POST',
        path: `/${alias}/_mget`,
        query: { _source: 'sender' },
        body: { docs: refs.map((ref) => ({ _id: messageReference(ref), routing: ref.token })) },
        timeoutMs: writeTimeoutMs,
      });
      for (const doc of body.docs) {
        if (doc.error) throw new SearchUnavailable('OpenSearch could not read from a shard of the index');
        if (doc._version !== undefined)
          states.set(doc._id, { version: doc._version, sender: doc._source?.sender });
      }
      return states;
    },

    removeChats: async (chats) => {
      // The query sees refreshed messages only. A message of a moment ago would stay.
      await request(client, {
        method: 'POST',
        path: `/${alias},${buildingAlias}/_refresh`,
        query: { ignore_unavailable: true },
        timeoutMs: writeTimeoutMs,
      });
      let removed = 0;
      for (const [token, ofToken] of Map.groupBy(chats, ({ token }) => token)) {
        const { body } = await request<{ deleted: number; failures: unknown[] }>(client, {
          method: 'POST',
          path: `/${alias},${buildingAlias}/_delete_by_query`,
          // A message that is written meanwhile is a conflict. It is found again by the next call.
          query: {
            routing: token,
            conflicts: 'proceed',
            ignore_unavailable: true,
            max_docs: REMOVED_TOGETHER,
          },
          body: { query: { terms: { chat: ofToken.map(chatReference) } } },
          timeoutMs: writeTimeoutMs,
        });
        if (body.failures.length > 0) throw new SearchUnavailable('OpenSearch could not remove messages');
        removed += body.deleted;
      }
      return removed;
    },

    remove: (refs) => bulk.remove(refs),
  };
};
