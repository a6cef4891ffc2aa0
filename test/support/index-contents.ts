import type { Client } from '@opensearch-project/opensearch';
import { chatReference } from '#lib/domain/reference.ts';

/** What tests and benches read of an index, beyond what the product does. */
export const createIndexContents = (client: Client, prefix = '') => {
  const index = `${prefix}messages`;
  return {
    /** Makes all written messages visible to search now. */
    refresh: async (): Promise<void> => {
      await client.indices.refresh({ index });
    },
    /** The versions of a chat's messages, by number, after `afterNumber`. Sees the same documents as search. */
    listVersions: async ({
      token,
      chatNumber,
      afterNumber = 0,
      limit = 10_000,
    }: {
      token: string;
      chatNumber: number;
      afterNumber?: number;
      limit?: number;
    }): Promise<{ messageNumber: number; version: number }[]> => {
      const { body } = await client.search({
        index,
        routing: [token],
        body: {
          query: {
            bool: {
              filter: [
                { term: { chat: chatReference({ token, chatNumber }) } },
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
      return body.hits.hits.map(({ _source, _version }) => ({
        messageNumber: Number(_source?.messageNumber),
        version: _version ?? 0,
      }));
    },
  };
};

export type IndexContents = ReturnType<typeof createIndexContents>;
