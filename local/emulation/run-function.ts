import { execFile } from 'node:child_process';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { asOwned, Failure, messageOf } from '../services/index.ts';

const checkout = resolve(import.meta.dirname, '../..');

export type FunctionRun = {
  /** Path below `functions/` without its extension, for example `operations/migrate`. */
  name: string;
  event?: object;
  environment: NodeJS.ProcessEnv;
  signal?: AbortSignal;
};

/**
 * Runs one function in a process of its own.
 * @throws Failure with the output of the function; the reason of `signal` when it aborts
 */
export const runFunction = async ({ name, event = {}, environment, signal }: FunctionRun): Promise<void> => {
  const { file, args } = asOwned({
    file: process.execPath,
    args: [
      join(import.meta.dirname, 'invoke.ts'),
      join(checkout, 'functions', `${name}.ts`),
      JSON.stringify(event),
    ],
  });
  try {
    await promisify(execFile)(file, args, {
      cwd: checkout,
      env: environment,
      maxBuffer: 64 * 1024 * 1024,
      ...(signal === undefined ? {} : { signal }),
    });
  } catch (error) {
    signal?.throwIfAborted();
    const output =
      error instanceof Error && 'stderr' in error && 'stdout' in error
        ? `${error.stdout}${error.stderr}`
        : '';
    throw new Failure(`functions/${name}.ts failed: ${output.trim() || messageOf(error)}`);
  }
};
