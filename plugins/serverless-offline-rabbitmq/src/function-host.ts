/**
 * Runs a function's handler inside serverless-offline's runner, in a worker thread or in process. It prevents two faults
 * of the runner in a worker thread. A thrown value that is no Error counts as a result, and a value that cannot be cloned
 * ends the whole process (https://github.com/dherault/serverless-offline/issues/1896 and `workerThreadHelper.js`). Like
 * Lambda, this module turns results into JSON and every thrown value into an error.
 */
import { join } from 'node:path';
import { inspect } from 'node:util';
import { workerData } from 'node:worker_threads';

/** The value that the runner passes to `handler` instead of the event. */
export type Envelope = {
  /** The function's own handler, such as `functions/consume.handler`. */
  handler: string;
  /** The folder of the service. A worker thread knows its own. */
  serviceFolder: string;
  /** URL of the module with which serverless-offline loads handlers. */
  loader: string;
  /** The event; in JSON for a worker thread. */
  event: unknown;
};

type Callback = (error?: unknown, result?: unknown) => void;
type Handler = (event: unknown, context: object, callback: Callback) => unknown;
type Folders = { servicePath: string; codeDir: string };

export const handler = async (envelope: Envelope, context: object): Promise<void> => {
  try {
    const run = await loadHandler(envelope);
    const event = typeof envelope.event === 'string' ? JSON.parse(envelope.event) : envelope.event;
    JSON.stringify(await settle(run, event, context));
  } catch (reason) {
    throw errorOf(reason);
  }
};

const loadHandler = async ({ handler, serviceFolder, loader }: Envelope): Promise<Handler> => {
  const { load }: { load: (root: string, handler: string) => Promise<Handler> } = await import(loader);
  const folders: Folders = workerData ?? { servicePath: serviceFolder, codeDir: serviceFolder };
  return load(folders.servicePath, join(folders.codeDir, handler));
};

/** Resolves with the handler's result, returned or passed to its callback. Rejects with the thrown value. */
const settle = (run: Handler, event: unknown, context: object): Promise<unknown> =>
  new Promise((resolve, reject) => {
    const callback: Callback = (error, result) => {
      if (error === undefined || error === null) resolve(result);
      else reject(error);
    };
    const returned = run(event, { ...context, done: callback, fail: reject, succeed: resolve }, callback);
    // A handler that returns no promise answers through its callback.
    if (isPromise(returned)) returned.then(resolve, reject);
  });

const isPromise = (value: unknown): value is PromiseLike<unknown> =>
  typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';

/** An Error that every thread can clone, with only the message and the stack of the reason. */
const errorOf = (reason: unknown): Error => {
  if (!(reason instanceof Error)) return new Error(`the handler threw ${inspect(reason)}`);
  const error = new Error(String(reason.message));
  error.stack = String(reason.stack);
  return error;
};
