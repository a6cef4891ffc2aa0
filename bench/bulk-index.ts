import type { Client } from '@opensearch-project/opensearch';
import { connectOpenSearch } from '#lib/opensearch/client.ts';
import { untilTrue } from './conversation.ts';

const MERGED_WITHIN_MS = 900_000;

const withClient = async (work: (client: Client) => Promise<void>): Promise<void> => {
  const client = connectOpenSearch(process.env.OPENSEARCH_URL ?? '');
  try {
    await work(client);
  } finally {
    await client.close();
  }
};

/**
 * Runs `work` while the index makes nothing visible to search and does not sync each request to disk. Meanwhile the server
 * refuses no request for its memory: it counts garbage as well, and a small heap that is loaded is full of it.
 */
export const asBulkLoad = (work: () => Promise<void>): Promise<void> =>
  withClient(async ({ transport }) => {
    const settings = '/messages/_settings';
    const { body } = await transport.request({ method: 'GET', path: settings });
    const [index] = Object.values<{ settings: { index: { refresh_interval: string } } }>(body);
    const put = (path: string, body: object) => transport.request({ method: 'PUT', path, body });
    const change = async (
      refresh_interval: string | undefined,
      durability: 'async' | 'request',
      memoryLimit: string | null,
    ) => {
      await put(settings, { index: { refresh_interval, translog: { durability } } });
      await put('/_cluster/settings', { transient: { 'indices.breaker.total.limit': memoryLimit } });
    };
    await change('-1', 'async', '1tb');
    await work();
    await change(index?.settings.index.refresh_interval, 'request', null);
  });

/** Settles when the index has all documents in segments on disk, and merges none of them. */
export const untilMerged = (): Promise<void> =>
  withClient(async ({ transport }) => {
    for (const path of ['/messages/_refresh', '/messages/_flush'])
      await transport.request({ method: 'POST', path }, { requestTimeout: MERGED_WITHIN_MS });
    const isMerged = async () => {
      const { body } = await transport.request({ method: 'GET', path: '/messages/_stats/merge' });
      return body._all.primaries.merges.current === 0;
    };
    await untilTrue('The index still merges', isMerged, MERGED_WITHIN_MS);
  });
