import { readFile } from 'node:fs/promises';
import { join, resolve, sep } from 'node:path';
import type { Plugin } from 'esbuild';

const PREFIX = 'function:';

/** Name of a function's entry point in a build with {@link separateEnvironments}. */
export const entryPointOf = (source: string): string => `${PREFIX}${source}`;

/** Packages, contracts and the domain hold no state of a function. */
const sharedFolders = ['contracts', 'domain'];

type Owner = { owner: string };
const isOwner = (data: unknown): data is Owner =>
  typeof data === 'object' && data !== null && 'owner' in data && typeof data.owner === 'string';

/**
 * Lets functions share packages, contracts and the domain in one process, and gives each function its own copy of all
 * other modules. Clients, time limits and pools stay those of one function, as in an execution environment of its own.
 *
 * An entry point exports `handler`, and `renewServices` of lib/runtime/lazy.ts, which closes the function's clients after a
 * reload.
 */
export const separateEnvironments = (serviceDir: string): Plugin => ({
  name: 'separate-environments',
  setup: ({ onResolve, onLoad }) => {
    const isShared = (file: string) =>
      sharedFolders.some((folder) => file.startsWith(join(serviceDir, 'lib', folder) + sep));

    onResolve({ filter: /^function:/ }, ({ path }) => ({
      namespace: 'function',
      path: path.slice(PREFIX.length),
    }));
    onLoad({ filter: /.*/, namespace: 'function' }, ({ path }) => ({
      contents: `export { handler } from './${path}'; export { renewServices } from '#lib/runtime/lazy.ts';`,
      resolveDir: serviceDir,
      pluginData: { owner: path } satisfies Owner,
    }));
    onResolve({ filter: /^(\.{1,2}\/|#lib\/).*\.ts$/ }, ({ path, resolveDir, pluginData }) => {
      if (!isOwner(pluginData)) return undefined;
      const file = path.startsWith('#lib/') ? join(serviceDir, path.slice(1)) : resolve(resolveDir, path);
      const found = { path: file, sideEffects: false };
      // esbuild takes a path with another suffix for another module.
      return isShared(file) ? found : { ...found, suffix: `?${pluginData.owner}`, pluginData };
    });
    onLoad({ filter: /\.ts$/ }, async ({ path, pluginData }) =>
      isOwner(pluginData) ? { contents: await readFile(path, 'utf8'), loader: 'ts', pluginData } : undefined,
    );
  },
});
