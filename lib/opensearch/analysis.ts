/**
 * How text, in the spelling of `normal-text.ts`, becomes search terms. Only what the stock server brings (`analysis-common`): no plugin, so the same
 * index can be made on OpenSearch 2.19, 3.x and the managed service.
 *
 * - `message` analyses what is indexed: every word, the parts of a compound (`ERR_CONN_RESET`, `getElementById`)
 *   and the compound written as one (`wi-fi` also as `wifi`).
 * - `parts` analyses a query word into its parts, to be found one after the other.
 * - `joined` analyses a query word as one word (`apt-get` as `aptget`), `stemmed` does so without Arabic affixes.
 * - `edge` analyses a query word that may be the beginning or the end of a longer one.
 */

/** Longest beginning or end of a word that is indexed, in characters; a longer query word is cut to it. */
const maxEdge = 20;

/** Shortest beginning of a word that is indexed, in characters. */
const minBeginning = 2;

/** Shortest end of a word that is indexed, in characters: shorter ones are inflections more than parts of compounds. */
const minEnd = 4;

/** Letters that are often written as another one. */
const letters = { ё: 'е', Ё: 'Е' };

/** Skin tones: 👍🏽 is found by 👍. */
const skinTones = ['\u{1F3FB}', '\u{1F3FC}', '\u{1F3FD}', '\u{1F3FE}', '\u{1F3FF}'];

/** The tokenizer keeps `_` inside a word and breaks at `-`; a compound has to arrive whole to be joined. */
const hyphens = ['-', '\u2010', '\u2011', '\u058a', '\u05be'];

/** Emoji of the basic plane: word_delimiter_graph takes them for punctuation unless told. */
const basicPlaneEmoji = Array.from({ length: 0x10000 }, (_, code) => code)
  .filter((code) => code > 0xff && /\p{Extended_Pictographic}/u.test(String.fromCharCode(code)))
  .map((code) => `\\u${code.toString(16).padStart(4, '0').toUpperCase()} => ALPHANUM`);

const mappings = (pairs: Readonly<Record<string, string>>) =>
  Object.entries(pairs).map(([from, to]) => `${from} => ${to}`);

/** One spelling for one word: width, case, accents, digits, Arabic and Persian letters. */
const folding = [
  'cjk_width',
  'case',
  'decimal_digit',
  'asciifolding',
  'arabic_normalization',
  'persian_normalization',
];

const charFilters = ['spellings'];

const splitting = {
  type: 'word_delimiter_graph',
  split_on_case_change: true,
  split_on_numerics: true,
  stem_english_possessive: true,
  adjust_offsets: true,
  type_table: basicPlaneEmoji,
};

const query = (compounds: string, ...last: string[]) => ({
  type: 'custom',
  tokenizer: 'standard',
  char_filter: charFilters,
  filter: [compounds, ...folding, ...last],
});

/** The index settings' `analysis`. */
export const analysis = {
  char_filter: {
    spellings: {
      type: 'mapping',
      mappings: [
        ...mappings(letters),
        ...hyphens.map((hyphen) => `${hyphen} => _`),
        ...skinTones.map((sign) => `${sign} => `),
      ],
    },
  },
  filter: {
    split_and_join: { ...splitting, catenate_all: true },
    // Each part stands where the compound does: a name and its parts overlap, and offsets must not go backwards.
    split_and_join_in_place: { ...splitting, catenate_all: true, adjust_offsets: false },
    split: splitting,
    // The parts of a dotted, dashed or underscored name, each as it stands ("maxRetries" in "config.maxRetries.value"),
    // and both sides of where capitals end ("XML" and "HttpRequest"). As beginnings, they rank below words of their own.
    names: {
      type: 'pattern_capture',
      patterns: [
        '([\\p{L}\\p{M}\\p{N}]+)',
        '(\\p{Lu}{2,})(?=\\p{Lu}\\p{Ll}{2})',
        '(?<=\\p{Lu})(\\p{Lu}\\p{Ll}{2}[\\p{L}\\p{M}\\p{N}]*)',
      ],
    },
    join: { ...splitting, generate_word_parts: false, generate_number_parts: false, catenate_all: true },
    // The Greek variant lower-cases every script and folds Greek accents and the final sigma as well.
    case: { type: 'lowercase', language: 'greek' },
    cjk_index: { type: 'cjk_bigram', output_unigrams: true },
    cjk_query: { type: 'cjk_bigram' },
    beginnings: { type: 'edge_ngram', min_gram: minBeginning, max_gram: maxEdge },
    ends: { type: 'edge_ngram', min_gram: minEnd, max_gram: maxEdge },
    cut: { type: 'truncate', length: maxEdge },
  },
  analyzer: {
    message: {
      type: 'custom',
      tokenizer: 'standard',
      char_filter: charFilters,
      filter: [
        'split_and_join',
        'flatten_graph',
        ...folding,
        'cjk_index',
        'keyword_repeat',
        'arabic_stem',
        'remove_duplicates',
      ],
    },
    message_beginnings: {
      type: 'custom',
      tokenizer: 'standard',
      char_filter: charFilters,
      filter: ['names', 'split_and_join_in_place', ...folding, 'beginnings'],
    },
    // The ends of words back to front: the beginnings of what is left when a word is read from its last letter.
    message_ends: {
      type: 'custom',
      tokenizer: 'standard',
      char_filter: charFilters,
      filter: ['split_and_join', 'flatten_graph', ...folding, 'reverse', 'ends'],
    },
    parts: query('split', 'cjk_query'),
    joined: query('join', 'cjk_query'),
    stemmed: query('join', 'cjk_query', 'arabic_stem'),
    edge: query('join', 'cut'),
    edge_reversed: query('join', 'reverse', 'cut'),
  },
};
