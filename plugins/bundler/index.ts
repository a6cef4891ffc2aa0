import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { build, type Metafile, stop } from 'esbuild';
import { regionalCertificates } from './certificates.ts';
import { withoutEncodings } from './encodings.ts';

/** What this reads and sets of osls. */
type FunctionObject = { handler: string; package?: { patterns?: string[] } };
type Serverless = {
  serviceDir: string;
  service: { provider: { region: string }; functions: Record<string, FunctionObject> };
};
type Options = {
  minify: boolean;
  /** Key of the one function that is wanted; all where absent. */
  only?: string | undefined;
  extension?: '.mjs' | '.js';
};

/**
 * Bundles every function into one file of its own, before it is packaged, emulated or invoked.
 *
 * All are built in one call, so that what they share is read and parsed once: a few seconds for the whole service. In
 * serverless.yml a handler is named by its source; here it is pointed to its bundle. Each process that emulates has an
 * output folder of its own, so that two of them side by side do not pull the files from under each other.
 */
export default class Bundler {
  readonly hooks: Record<string, () => Promise<void>>;
  readonly #serverless: Serverless;
  #built: Promise<void> | undefined;

  constructor(serverless: Serverless, options: { function?: string }) {
    this.#serverless = serverless;
    const ownFolder = `dist/run-${process.pid}`;
    const toShip = () => this.#bundleOnce('dist/package', { minify: true });
    const toRun = () => this.#bundleOnce(ownFolder, { minify: false });
    // osls finds a module by its path without `.mjs`.
    const toInvoke = () =>
      this.#bundleOnce(ownFolder, { minify: false, only: options.function, extension: '.js' });
    this.hooks = {
      'before:package:createDeploymentArtifacts': toShip,
      'before:deploy:function:packageFunction': toShip,
      'before:offline:start': toRun,
      'before:offline:start:init': toRun,
      'before:invoke:local:invoke': toInvoke,
    };
  }

  #bundleOnce(folder: string, options: Options): Promise<void> {
    this.#built ??= this.#bundle(folder, options);
    return this.#built;
  }

  async #bundle(folder: string, { minify, only, extension = '.mjs' }: Options): Promise<void> {
    const { serviceDir, service } = this.#serverless;
    const outdir = join(serviceDir, folder);
    rmSync(outdir, { recursive: true, force: true });
    if (!minify) process.once('exit', () => rmSync(outdir, { recursive: true, force: true }));

    const functions = Object.entries(service.functions)
      .filter(([key]) => only === undefined || key === only)
      .map(([, definition]) => definition);
    const sources = functions.map(({ handler }) => `${handler.slice(0, handler.lastIndexOf('.'))}.ts`);
    const { metafile } = await build({
      absWorkingDir: serviceDir,
      entryPoints: sources,
      outbase: serviceDir,
      outdir,
      outExtension: { '.js': extension },
      bundle: true,
      minify,
      keepNames: true,
      platform: 'node',
      target: 'node24',
      format: 'esm',
      mainFields: ['module', 'main'],
      legalComments: 'none',
      logLevel: 'warning',
      metafile: true,
      plugins: [regionalCertificates(service.provider.region), withoutEncodings],
      // Some drivers are CommonJS and ask for Node's own modules by `require`.
      banner: {
        js: "import { createRequire as createRequireOf } from 'node:module'; const require = createRequireOf(import.meta.url);",
      },
    });

    // The service process of esbuild would keep its memory for as long as the API runs.
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

/**
 * Beside the bundles, `contents.json` names for each the modules of which it holds code: what a bundle may do is
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
