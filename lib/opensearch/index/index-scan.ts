import type { Client } from '@opensearch-project/opensearch';
import { type MessageReference, parseMessageReference } from '#lib/domain/reference.ts';
import { SearchUnavailable } from '../errors.ts';
import { request } from '../request.ts';

/** A place between the documents of the index: after the write `seqNo` of a shard. */
export type IndexPosition = { shard: number; seqNo: number };

export type IndexedMessage = MessageReference & { version: number };

type Found = { hits: { hits: { _id: string; _version: number; sort: [number] }[] } };

/**
 * Reads the whole index, shard by shard in the order of writes. The cost of a page does not depend on the size of the
 * index. Documents that are written meanwhile come later. Sees the same documents as search.
 */
export const createIndexScan = ({
  client,
  prefix = '',
  timeoutMs = 30_000,
}: {
  client: Client;
  prefix?: string;
  timeoutMs?: number;
}) => {
  const alias = `${prefix}messages`;

  const countShards = async (): Promise<number> => {
    const { body } = await request<Record<string, { settings: { index: { number_of_shards: string } } }>>(
      client,
      { method: 'GET', path: `/${alias}/_settings/index.number_of_shards`, timeoutMs },
    );
    return Number(Object.values(body)[0]?.settings.index.number_of_shards ?? 1);
  };

  const find = async (shard: number, body: object) => {
    const answer = await request<Found & { timed_out: boolean; _shards: { failed: number } }>(client, {
      method: 'POST',
      path: `/${alias}/_search`,
      query: { preference: `_shards:${shard}`, allow_partial_search_results: false },
      body: { query: { match_all: {} }, _source: false, version: true, track_total_hits: false, ...body },
      timeoutMs,
    });
    if (answer.body.timed_out || answer.body._shards.failed > 0)
      throw new SearchUnavailable('OpenSearch gave only part of an answer');
    return answer.body.hits.hits;
  };

  return {
    /**
     * @returns at most `limit` messages after the position, and the next position; undefined at the end
     * @throws SearchUnavailable
     */
    page: async (
      { shard, seqNo }: IndexPosition,
      limit: number,
    ): Promise<{ messages: IndexedMessage[]; next: IndexPosition | undefined }> => {
      const hits = await find(shard, { sort: [{ _seq_no: 'asc' }], search_after: [seqNo], size: limit });
      const messages = hits.map(({ _id, _version }) => ({
        ...parseMessageReference(_id),
        version: _version,
      }));
      const last = hits.at(-1)?.sort[0];
      if (last !== undefined && hits.length === limit) return { messages, next: { shard, seqNo: last } };
      return {
        messages,
        next: shard + 1 < (await countShards()) ? { shard: shard + 1, seqNo: -1 } : undefined,
      };
    },

    /** A place anywhere in the index. @throws SearchUnavailable */
    randomPosition: async (): Promise<IndexPosition> => {
      const shard = Math.floor(Math.random() * (await countShards()));
      const [newest] = await find(shard, { sort: [{ _seq_no: 'desc' }], size: 1 });
      return { shard, seqNo: Math.floor(Math.random() * (newest?.sort[0] ?? 0)) - 1 };
    },
  };
};

export type IndexScan = ReturnType<typeof createIndexScan>;
