import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { build, type Metafile, stop } from 'esbuild';
import { buildOptions } from './build-options.ts';
import { bundleForEmulation } from './emulation.ts';

/** The parts of osls that this reads and sets. */
type FunctionObject = { handler: string; package?: { patterns?: string[] } };
type Serverless = {
  serviceDir: string;
  service: { provider: { region: string }; functions: Record<string, FunctionObject> };
  pluginManager: { spawn: (command: string) => Promise<void> };
};
type Options = { function?: string; watch?: boolean };
type Log = { notice: (line: string) => void; warning: (line: string) => void };
type Bundling = {
  minify: boolean;
  /** Key of the one wanted function; all functions if absent. */
  only?: string | undefined;
  extension?: '.mjs' | '.js';
};

const watchOption = {
  watch: { usage: 'Rebuilds and reloads functions whose sources change.', type: 'boolean' },
} as const;

/**
 * Bundles functions before they are packaged, emulated or invoked. In serverless.yml a handler is named by its source;
 * here it is pointed to its bundle.
 *
 * For the cloud and for `invoke local` each function is one file. All are built in one call, so that shared modules are
 * read and parsed once. Emulated functions share files: see `emulation.ts`. Each emulating process has an output folder
 * of its own, so that two of them do not remove each other's files.
 */
export default class Bundler {
  readonly hooks: Record<string, () => Promise<void>>;
  readonly commands = {
    offline: { options: watchOption, commands: { start: { options: watchOption } } },
  };
  readonly #serverless: Serverless;
  readonly #options: Options;
  readonly #log: Log;
  #built: Promise<void> | undefined;

  constructor(serverless: Serverless, options: Options, { log }: { log: Log }) {
    this.#serverless = serverless;
    this.#options = options;
    this.#log = log;
    const ownFolder = `dist/run-${process.pid}`;
    const toShip = () => this.#once(() => this.#bundle('dist/package', { minify: true }));
    const toRun = () => this.#once(() => this.#emulate(ownFolder));
    // osls finds a module by its path without `.mjs`.
    const toInvoke = () =>
      this.#once(() => {
        removeAtExit(join(serverless.serviceDir, ownFolder));
        return this.#bundle(ownFolder, { minify: false, only: options.function, extension: '.js' });
      });
    this.hooks = {
      'before:package:createDeploymentArtifacts': toShip,
      'before:deploy:function:packageFunction': toShip,
      'before:offline:start': toRun,
      'before:offline:start:init': toRun,
      'before:invoke:local:invoke': toInvoke,
    };
  }

  #once(work: () => Promise<void>): Promise<void> {
    this.#built ??= work();
    return this.#built;
  }

  async #emulate(folder: string): Promise<void> {
    const { serviceDir, service, pluginManager } = this.#serverless;
    removeAtExit(join(serviceDir, folder));
    const { watch, end } = await bundleForEmulation({
      serviceDir,
      region: service.provider.region,
      folder,
      functions: service.functions,
      log: this.#log,
      announce: () => pluginManager.spawn('offline:functionsUpdated'),
    });
    if (this.#options.watch === true) watch();
    else await end();
  }

  async #bundle(folder: string, { minify, only, extension = '.mjs' }: Bundling): Promise<void> {
    const { serviceDir, service } = this.#serverless;
    const outdir = join(serviceDir, folder);
    rmSync(outdir, { recursive: true, force: true });
    const functions = Object.entries(service.functions)
      .filter(([key]) => only === undefined || key === only)
      .map(([, definition]) => definition);
    const { metafile } = await build({
      ...buildOptions(serviceDir, service.provider.region),
      entryPoints: functions.map(({ handler }) => handler.replace(/\.[^.]+$/, '.ts')),
      outbase: serviceDir,
      outdir,
      outExtension: { '.js': extension },
      minify,
    });
    // The service process of esbuild would keep its memory for as long as this process runs.
    await stop();
    writeContents(outdir, metafile);
    for (const definition of functions) {
      const bundle = relative(serviceDir, join(outdir, definition.handler));
      definition.package = {
        ...definition.package,
        patterns: ['!**', bundle.replace(/\.[^.]+$/, extension), ...(definition.package?.patterns ?? [])],
      };
      definition.handler = bundle;
    }
  }
}

const removeAtExit = (folder: string): void => {
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
};

/**
 * Beside the bundles, `contents.json` names for each bundle the modules whose code it holds. Rights of a function are
 * derived from it.
 */
const writeContents = (outdir: string, { outputs }: Metafile): void => {
  const contents = Object.fromEntries(
    Object.entries(outputs).map(([bundle, { inputs }]) => [
      bundle,
      Object.keys(inputs).filter((module) => (inputs[module]?.bytesInOutput ?? 0) > 0),
    ]),
  );
  mkdirSync(outdir, { recursive: true });
  writeFileSync(join(outdir, 'contents.json'), JSON.stringify(contents));
};
