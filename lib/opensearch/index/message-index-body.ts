import { limits } from '#lib/domain/limits.ts';
import { analysis } from '../text/analysis.ts';

/** Rises with every change to the analysis or the mapping. An index of an older schema needs a rebuild. */
export const schema = 4;

export type IndexShape = {
  /** Primary shards. All messages of an application are in one of them. */
  shards: number;
  replicas: number;
  /** The longest time until search finds a written message. */
  refreshIntervalMs: number;
};

const edges = (analyzer: string, search_analyzer: string) => ({
  type: 'text',
  analyzer,
  search_analyzer,
  norms: false,
  index_options: 'docs',
});

/** The segments of a size before a merge. A clause looks into the dictionary of each; the default of 10 doubled search times. */
const SEGMENTS = 4;

export const dynamicSettings = {
  // One more than the deepest hit by page, because the last page also asks for one more.
  max_result_window: limits.searchDepth + 1,
  merge: { policy: { segments_per_tier: SEGMENTS, max_merge_at_once: SEGMENTS } },
} as const;

/** Fields that can be added to an index of an older schema, because they need none of its analyzers. */
export const addable = {
  // Answers show it, and no query uses it.
  original: { type: 'text', index: false, norms: false },
  numbers: { type: 'keyword', doc_values: false },
  application: { type: 'keyword', doc_values: false },
  // Orders the matches of all chats of an application.
  chatNumber: { type: 'long', index: false },
  sender: { type: 'keyword', doc_values: false },
  senderName: { type: 'keyword', index: false, doc_values: false },
  deleted: { type: 'boolean', doc_values: false },
} as const;

/** The settings and mapping of a new index. */
export const messageIndexBody = ({ shards, replicas, refreshIntervalMs }: IndexShape) => ({
  settings: {
    number_of_shards: shards,
    number_of_replicas: replicas,
    // An explicit value, even the default, keeps shards from becoming idle. An idle shard delays its first search.
    refresh_interval: `${refreshIntervalMs}ms`,
    ...dynamicSettings,
    analysis,
  },
  mappings: {
    dynamic: 'strict',
    _meta: { schema },
    _routing: { required: true },
    properties: {
      chat: { type: 'keyword', doc_values: false },
      messageNumber: { type: 'long' },
      createdAt: { type: 'date', format: 'strict_date_time' },
      ...addable,
      body: {
        type: 'text',
        analyzer: 'message',
        search_analyzer: 'parts',
        norms: false,
        fields: {
          beginnings: edges('message_beginnings', 'edge'),
          ends: edges('message_ends', 'edge_reversed'),
          // One position a word, so that phrases do not depend on hyphens and capitals inside words.
          joined: { type: 'text', analyzer: 'joined', norms: false },
        },
      },
    },
  },
});
