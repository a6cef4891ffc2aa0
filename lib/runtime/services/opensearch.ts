import { SearchUnavailable } from '#lib/opensearch/errors.ts';
import { createIndexScan } from '#lib/opensearch/index/index-scan.ts';
import { createMessageIndex } from '#lib/opensearch/index/message-index.ts';
import { lazy } from '../lazy.ts';
import { config, openSearch } from './servers.ts';

export const messageIndex = /* @__PURE__ */ lazy(() => {
  const { OPENSEARCH_URL: node, OPENSEARCH_INDEX_PREFIX: prefix } = config();
  if (node === undefined) throw new SearchUnavailable('OPENSEARCH_URL is not set');
  return createMessageIndex({ client: openSearch(node), prefix });
});
export const indexScan = /* @__PURE__ */ lazy(() => {
  const { OPENSEARCH_URL: node, OPENSEARCH_INDEX_PREFIX: prefix } = config();
  if (node === undefined) throw new SearchUnavailable('OPENSEARCH_URL is not set');
  return createIndexScan({ client: openSearch(node), prefix });
});
