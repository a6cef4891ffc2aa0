import { createRequire } from 'node:module';
import { build } from 'esbuild';
import { expect, test } from 'vitest';
import { withoutEncodings } from '../../../../plugins/bundler/encodings.ts';

const bundle = (contents: string) =>
  build({
    stdin: { contents, resolveDir: import.meta.dirname, loader: 'js' },
    bundle: true,
    write: false,
    metafile: true,
    platform: 'node',
    format: 'cjs',
    mainFields: ['module', 'main'],
    plugins: [withoutEncodings],
  });

test('a bundle has no tables of encodings', async () => {
  const { metafile } = await bundle("require('mysql2/promise');");
  const inputs = Object.keys(metafile.inputs).join('\n');
  expect(inputs).toContain('mysql2/promise.js');
  expect(inputs).not.toMatch(/iconv-lite\/encodings/);
});

test('a bundled driver still decodes utf8mb3 columns, and refuses encodings that it has no table for', async () => {
  const { outputFiles } = await bundle(
    "module.exports = require('../../../../node_modules/mysql2/lib/parsers/string.js');",
  );
  const loaded = {
    exports: {} as { decode: (...args: unknown[]) => string; encode: (...args: unknown[]) => Buffer },
  };
  new Function('module', 'exports', 'require', outputFiles[0]?.text ?? '')(
    loaded,
    loaded.exports,
    createRequire(import.meta.url),
  );
  const { decode, encode } = loaded.exports;
  for (const text of ['plain', 'Übung', '회의록', '']) {
    const bytes = Buffer.from(text);
    expect(decode(bytes, 'utf8', 0, bytes.length)).toBe(text);
    expect(decode(bytes, 'cesu8', 0, bytes.length)).toBe(text);
    expect(encode(text, 'cesu8').toString()).toBe(text);
  }
  expect(() => decode(Buffer.from('a'), 'sjis', 0, 1)).toThrow('sjis');
});
