import type { Plugin } from 'esbuild';

/**
 * Strings of MySQL arrive as utf8mb4, which Node decodes itself. `cesu8` is the driver's name for utf8mb3. For its
 * characters, up to U+FFFF, both encodings are the same.
 */
const withoutTables = `
const { StringDecoder } = require('node:string_decoder');
const check = (encoding) => {
  if (encoding !== 'cesu8') throw new Error('This bundle has no table for the encoding ' + encoding + '; only utf8mb4 is used');
};
exports.getDecoder = (encoding) => {
  check(encoding);
  return new StringDecoder('utf8');
};
exports.getEncoder = (encoding) => {
  check(encoding);
  return { write: (text) => Buffer.from(text, 'utf8'), end: () => undefined };
};
`;

/** Leaves out the tables of all encodings, a third of a bundle. */
export const withoutEncodings: Plugin = {
  name: 'without-encodings',
  setup: ({ onLoad }) => {
    onLoad({ filter: /\biconv-lite[\\/]lib[\\/]index\.js$/ }, () => ({
      contents: withoutTables,
      loader: 'js',
    }));
  },
};
