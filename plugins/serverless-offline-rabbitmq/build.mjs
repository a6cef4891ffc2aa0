// Builds `dist`: JavaScript for `import` and for `require`, with declarations. With `--if-changed` only when a source
// is newer than the last build. It runs on any Node from 18 on, with the repository's esbuild and TypeScript.
import { execFileSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const folder = dirname(fileURLToPath(import.meta.url));
const output = join(folder, 'dist');
const entries = ['index', 'event-source', 'function-host'];

const changedAt = (path) => statSync(path).mtimeMs;
const sources = () =>
  [
    'build.mjs',
    'tsconfig.build.json',
    'package.json',
    ...readdirSync(join(folder, 'src')).map((name) => `src/${name}`),
  ].map((name) => changedAt(join(folder, name)));
const isCurrent = () => existsSync(output) && Math.max(...sources()) < changedAt(output);

const build = async () => {
  // The build goes to another folder and is moved at the end, because another process may run the last build.
  const fresh = join(folder, `dist-${process.pid}`);
  const { build: bundle } = await import('esbuild');
  const shared = {
    entryPoints: entries.map((name) => join(folder, 'src', `${name}.ts`)),
    bundle: true,
    packages: 'external',
    platform: 'node',
    target: 'node20',
    keepNames: true,
    logLevel: 'warning',
  };
  await bundle({ ...shared, format: 'esm', outdir: join(fresh, 'esm') });
  await bundle({
    ...shared,
    format: 'cjs',
    outdir: join(fresh, 'cjs'),
    define: { 'import.meta.url': 'fileUrl' },
    banner: { js: "const fileUrl = require('node:url').pathToFileURL(__filename).href;" },
  });
  const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc');
  const declarations = ['-p', join(folder, 'tsconfig.build.json'), '--outDir', join(fresh, 'esm')];
  execFileSync(process.execPath, [tsc, ...declarations], { stdio: 'inherit' });
  // TypeScript keeps the extensions of the sources in declarations.
  for (const name of readdirSync(join(fresh, 'esm')).filter((file) => file.endsWith('.d.ts'))) {
    const file = join(fresh, 'esm', name);
    writeFileSync(file, readFileSync(file, 'utf8').replaceAll(/(?<=from '\.\/[\w-]+)\.ts(?=')/g, '.js'));
  }
  cpSync(join(fresh, 'esm'), join(fresh, 'cjs'), {
    recursive: true,
    filter: (path) => !path.endsWith('.js'),
  });
  writeFileSync(join(fresh, 'cjs/package.json'), '{ "type": "commonjs" }\n');
  rmSync(output, { recursive: true, force: true });
  renameSync(fresh, output);
};

if (!(process.argv.includes('--if-changed') && isCurrent())) await build();
