import { limits } from '#lib/domain/limits.ts';
import { analysis } from './analysis.ts';

/** Raised with every change to the analysis or the mapping; an index of an older schema wants a rebuild. */
export const schema = 2;

export type IndexShape = {
  /** Primary shards. An application lives whole in one of them. */
  shards: number;
  replicas: number;
  /** How long a written message may stay unseen by search. */
  refreshIntervalMs: number;
};

const edges = (analyzer: string, search_analyzer: string) => ({
  type: 'text',
  analyzer,
  search_analyzer,
  norms: false,
  index_options: 'docs',
});

/** One more than a search reaches by page: the last page asks for one more as well. */
export const dynamicSettings = { max_result_window: limits.searchDepth + 1 } as const;

/** What an answer shows and no query looks at; may be added to an index of an older schema as it is. */
export const shownOnly = { original: { type: 'text', index: false, norms: false } } as const;

/** What a new index is created with. */
export const messageIndexBody = ({ shards, replicas, refreshIntervalMs }: IndexShape) => ({
  settings: {
    number_of_shards: shards,
    number_of_replicas: replicas,
    // Set, even to the default, it also keeps shards from going idle: an idle one makes the first search wait.
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
      createdAt: { type: 'date', format: 'strict_date_time', index: false },
      ...shownOnly,
      body: {
        type: 'text',
        analyzer: 'message',
        search_analyzer: 'parts',
        norms: false,
        // Highlighting reads where the terms of a message stand instead of analysing it again.
        term_vector: 'with_positions_offsets',
        fields: {
          beginnings: edges('message_beginnings', 'edge'),
          ends: edges('message_ends', 'edge_reversed'),
        },
      },
    },
  },
});
