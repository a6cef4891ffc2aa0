import { AsyncLocalStorage } from 'node:async_hooks';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { Worker } from 'node:worker_threads';
import { type Log, reasonOf } from './broker.ts';
import type { RabbitmqEvent } from './event-types.ts';
import type { Envelope } from './function-host.ts';
import type { FunctionDefinition, Serverless } from './serverless.ts';

/** One function in serverless-offline's Lambda machinery, with one execution environment. */
export type LocalFunction = {
  /** Runs the function once. Rejects if it throws, times out or ends its execution environment. */
  invoke(event: RabbitmqEvent): Promise<void>;
  /** Makes the next run load the function's current code. */
  reload(): void;
  end(): Promise<void>;
};

type LocalFunctionOptions = {
  serverless: Serverless;
  /** The options that serverless-offline itself uses. */
  options: Record<string, unknown>;
  functionKey: string;
  log: Log;
};

/**
 * Puts a function into a pool of its own, so that renewing its execution environment ends no other.
 */
export const createLocalFunction = async (given: LocalFunctionOptions): Promise<LocalFunction> => {
  const { serverless, options, functionKey, log } = given;
  const { default: Lambda } = await import('serverless-offline/lambda');
  // The pool keeps every environment that `reloadHandler` makes; `renew` below ends the old one first.
  const lambda = new Lambda(serverless, { ...options, reloadHandler: false });
  const reloadsAlways = options.reloadHandler === true;
  let isStale = true;
  let wrap = (event: RabbitmqEvent): unknown => event;
  let failRun: ((reason: Error) => void) | undefined;
  let environment: Worker | undefined;

  const renew = async () => {
    environment = undefined;
    await lambda.cleanup();
    const definition = serverless.service.getFunction(functionKey);
    const hosted = hostOf(serverless, options, functionKey, definition);
    lambda.create([{ functionKey, functionDefinition: hosted?.definition ?? definition }]);
    wrap = hosted?.wrap ?? ((event) => event);
    isStale = false;
  };

  /** A worker thread that ends fails its batch, and must not end the process. */
  const adopt = (worker: Worker) => {
    environment = worker;
    const onEnd = (reason: Error) => {
      if (environment !== worker) return;
      environment = undefined;
      isStale = true;
      if (failRun === undefined)
        log.error(`${functionKey}: ${reason.message}. The next batch starts another.`);
      // After a time-out serverless-offline ends the thread, and rejects one turn later.
      setImmediate(failRun ?? (() => undefined), reason);
    };
    worker.on('error', (error) => onEnd(new Error(`the execution environment ended: ${reasonOf(error)}`)));
    worker.on('exit', (code) => onEnd(new Error(`the execution environment ended with exit code ${code}`)));
  };

  return {
    invoke: async (event) => {
      if (isStale || reloadsAlways) await renew();
      const instance = lambda.get(functionKey);
      instance.setEvent(wrap(event));
      const environmentEnded = new Promise<never>((_, reject) => {
        failRun = reject;
      });
      try {
        await Promise.race([workerOwner.run(adopt, () => instance.runHandler()), environmentEnded]);
      } catch (error) {
        throw isTimeout(error) ? new Error(`timed out after ${timeoutOf(serverless, functionKey)} s`) : error;
      } finally {
        failRun = undefined;
      }
    },
    reload: () => {
      isStale = true;
    },
    end: () => {
      environment = undefined;
      return lambda.cleanup();
    },
  };
};

const DEFAULT_TIMEOUT_S = 6;

const isTimeout = (error: unknown): boolean =>
  error instanceof Error && error.constructor.name === 'LambdaTimeoutError';

/** In seconds; Lambda's default is serverless-offline's. */
const timeoutOf = ({ service }: Serverless, functionKey: string): number =>
  service.getFunction(functionKey).timeout ?? service.provider.timeout ?? DEFAULT_TIMEOUT_S;

/** Receives each worker thread that serverless-offline creates in this context, because it exposes none. */
const workerOwner = new AsyncLocalStorage<(worker: Worker) => void>();
process.on('worker', (worker: Worker) => workerOwner.getStore()?.(worker));

const sibling = (name: string) => join(dirname(fileURLToPath(import.meta.url)), name);

/** The module with which serverless-offline loads handlers; undefined if this version keeps it elsewhere. */
const findLoader = (): string | undefined => {
  const lambda = createRequire(import.meta.url).resolve('serverless-offline/lambda');
  const file = join(dirname(lambda), 'handler-runner/in-process-runner/aws-lambda-ric/UserFunction.js');
  return existsSync(file) ? pathToFileURL(file).href : undefined;
};

/** The definition that runs a Node.js function through `function-host`; undefined if that is not possible. */
const hostOf = (
  { config, service }: Serverless,
  { useInProcess, useDocker, location }: Record<string, unknown>,
  functionKey: string,
  definition: FunctionDefinition,
) => {
  const loader = findLoader();
  const runtime = definition.runtime ?? service.provider.runtime ?? 'nodejs';
  const artifact = definition.package?.artifact ?? service.package?.artifact;
  const isInThread = useInProcess !== true;
  if (loader === undefined || useDocker || !runtime.startsWith('nodejs')) return undefined;
  if (artifact !== undefined && !isInThread) return undefined;

  const serviceFolder = resolve(config.servicePath, typeof location === 'string' ? location : '');
  // An artifact is unpacked into a folder with a random name. Only its depth matters for a relative path.
  const unpacked = ['.serverless-offline', 'services', service.service ?? '', functionKey, 'uuid', 'code'];
  const codeFolder = artifact === undefined ? serviceFolder : join(serviceFolder, ...unpacked);
  const { handler } = definition;
  return {
    definition: {
      ...definition,
      handler: `${relative(codeFolder, sibling('function-host'))}.handler`,
      environment: { ...definition.environment, _HANDLER: handler },
    },
    wrap: (event: RabbitmqEvent): Envelope => ({
      handler,
      serviceFolder,
      loader,
      event: isInThread ? JSON.stringify(event) : event,
    }),
  };
};
