/**
 * The analyzers that turn normalized text (`normal-text.ts`) into search terms. They use only the stock server's
 * `analysis-common` and no plugin, so the same index works on OpenSearch 2.19, 3.x and the managed service.
 *
 * - `message` analyses messages: every word, the parts of a compound (`ERR_CONN_RESET`, `getElementById`), and the
 *   compound written as one word (`wi-fi` also as `wifi`).
 * - `parts` splits a query word into its parts, which must follow one another.
 * - `joined` analyses a query word as one word (`apt-get` as `aptget`). `stemmed` also removes Arabic affixes.
 * - `edge` analyses a query word that may be the beginning or the end of a longer word.
 */

/** The longest indexed beginning or end of a word, in characters. Longer query words are cut to it. */
const maxEdge = 20;

/** The shortest indexed beginning of a word, in characters. */
const minBeginning = 2;

/** The shortest indexed end of a word, in characters. Shorter ends are mostly inflections, not parts of compounds. */
const minEnd = 4;

/** Letters that writers often replace by another letter. */
const letters = { ё: 'е', Ё: 'Е' };

/** Skin tones: 👍🏽 is found by 👍. */
const skinTones = ['\u{1F3FB}', '\u{1F3FC}', '\u{1F3FD}', '\u{1F3FE}', '\u{1F3FF}'];

/** The tokenizer keeps `_` inside a word but breaks at `-`. The filters can join only a compound that arrives whole. */
const hyphens = ['-', '\u2010', '\u2011', '\u058a', '\u05be'];

/** Emoji of the basic plane. By default word_delimiter_graph treats them as punctuation. */
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
    // Each part has the position of the compound. A name and its parts overlap, and offsets must not decrease.
    split_and_join_in_place: { ...splitting, catenate_all: true, adjust_offsets: false },
    split: splitting,
    // The unchanged parts of a dotted, dashed or underscored name ("maxRetries" in "config.maxRetries.value"), and both
    // sides of the end of capitals ("XML" and "HttpRequest"). They count as beginnings, so they rank below whole words.
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
    // The ends of words, as the beginnings of reversed words.
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
