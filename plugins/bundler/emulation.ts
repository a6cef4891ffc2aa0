import { mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { context, type Metafile, type OutputFile, stop } from 'esbuild';
import { buildOptions } from './build-options.ts';
import { entryPointOf, separateEnvironments } from './environments.ts';
import { watchFolders } from './watch-folders.ts';

type FunctionDefinition = { handler: string };
type Log = { notice: (line: string) => void; warning: (line: string) => void };
type Emulation = {
  serviceDir: string;
  region: string;
  /** Folder of the bundles, relative to the service. */
  folder: string;
  functions: Readonly<Record<string, FunctionDefinition>>;
  log: Log;
  /** Tells serverless-offline and its event sources that the functions have changed. */
  announce: () => Promise<void>;
};
type Bundle = { definition: FunctionDefinition; key: string; path: string };

const sourceOf = ({ handler }: FunctionDefinition): string => handler.replace(/\.[^.]+$/, '.ts');
const handlerOf = (path: string): string => path.replace(/\.mjs$/, '.handler');

/** An unchanged function keeps its bundle's name, and an unchanged chunk its own: neither is loaded again. */
const createBuild = ({ serviceDir, region, folder }: Emulation, sources: readonly string[]) => {
  const options = buildOptions(serviceDir, region);
  return context({
    ...options,
    plugins: [separateEnvironments(serviceDir), ...options.plugins],
    entryPoints: sources.map((source) => ({ in: entryPointOf(source), out: source.replace(/\.ts$/, '') })),
    entryNames: '[dir]/[name]-[hash]',
    chunkNames: 'shared/[hash]',
    outdir: join(serviceDir, folder),
    outExtension: { '.js': '.mjs' },
    splitting: true,
    // esbuild would delete earlier bundles, also after a failed build. serverless-offline may load them at any time.
    write: false,
  });
};

/** Adds the files of a build to those of earlier builds. */
const writeFiles = async (files: readonly OutputFile[]): Promise<void> => {
  for (const { path, contents } of files) {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, contents);
  }
};

const load = (serviceDir: string, path: string): Promise<{ renewServices: () => void }> =>
  import(pathToFileURL(join(serviceDir, path)).href);

/** Replaces bundles by newer ones. The old ones serve requests until all the new ones are loaded. */
const replaceBundles = async (
  { serviceDir, announce }: Emulation,
  changed: readonly (Bundle & { before: string })[],
): Promise<void> => {
  await Promise.all(changed.map(({ path }) => load(serviceDir, path)));
  for (const { definition, path } of changed) definition.handler = handlerOf(path);
  await announce();
  for (const { before } of changed) {
    const { renewServices } = await load(serviceDir, before);
    renewServices();
  }
};

/**
 * Bundles all functions for one process that emulates them, in one build in which they share code, and points each
 * handler to its bundle.
 *
 * @returns `watch`, which rebuilds and reloads functions whose sources change; a build that fails, or a bundle that
 * cannot be loaded, is reported and changes nothing. Without it, `end` ends the bundler's own process.
 */
export const bundleForEmulation = async (emulation: Emulation) => {
  const { serviceDir, folder, functions, log } = emulation;
  await rm(join(serviceDir, folder), { recursive: true, force: true });
  const sources = new Map(Object.entries(functions).map(([key, definition]) => [key, sourceOf(definition)]));
  const build = await createBuild(emulation, [...sources.values()]);

  const bundlesOf = ({ outputs }: Metafile): Bundle[] => {
    const paths = new Map(Object.entries(outputs).map(([path, { entryPoint }]) => [entryPoint, path]));
    return Object.entries(functions).map(([key, definition]) => {
      const path = paths.get(entryPointOf(sources.get(key) ?? ''));
      if (path === undefined) throw new Error(`The build has no bundle for the function ${key}.`);
      return { key, definition, path };
    });
  };
  const rebuild = async (): Promise<Bundle[]> => {
    const { metafile, outputFiles } = await build.rebuild();
    await writeFiles(outputFiles);
    return bundlesOf(metafile);
  };
  let current = await rebuild();
  for (const { definition, path } of current) definition.handler = handlerOf(path);

  const reload = async (): Promise<void> => {
    const startedAt = performance.now();
    const before = new Map(current.map(({ key, path }) => [key, path]));
    try {
      const next = await rebuild();
      const changed = next.flatMap((bundle) => {
        const old = before.get(bundle.key);
        return old === undefined || old === bundle.path ? [] : [{ ...bundle, before: old }];
      });
      if (changed.length === 0) return;
      await replaceBundles(emulation, changed);
      current = next;
      const names = changed.map(({ key }) => key).join(', ');
      log.notice(`Reloaded in ${Math.round(performance.now() - startedAt)} ms: ${names}`);
    } catch (error) {
      // esbuild has printed the place in the source.
      log.warning(`Not reloaded, the previous code stays: ${error instanceof Error ? error.message : error}`);
    }
  };

  return {
    watch: () => watchFolders([join(serviceDir, 'functions'), join(serviceDir, 'lib')], reload),
    /** The bundler's process would keep hundreds of megabytes for as long as this one runs. */
    end: async (): Promise<void> => {
      await build.dispose();
      await stop();
    },
  };
};
