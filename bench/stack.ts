import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parse, stringify } from 'yaml';
import { logger } from '#lib/runtime/logger.ts';
import { runFunction } from '../local/emulation/run-function.ts';
import { type SlsOffline, startSlsOffline } from '../local/emulation/sls-offline.ts';
import {
  Failure,
  type Report,
  removeAbandonedStacks,
  type Stack,
  startServices,
  terminalReport,
} from '../local/services/index.ts';

const checkout = resolve(import.meta.dirname, '..');

/** The route of the function that does nothing, by GET and POST. */
export const emptyPath = '/bench/empty';

/** serverless.yml with one function more, in a file of its own: osls wants it in the service's folder. */
const writeConfig = (): string => {
  const service = parse(readFileSync(join(checkout, 'serverless.yml'), 'utf8'));
  service.functions.answerNothing = {
    handler: 'bench/fixtures/answer-nothing.handler',
    events: [{ httpApi: `GET ${emptyPath}` }, { httpApi: `POST ${emptyPath}` }],
  };
  const name = `serverless.bench-${process.pid}.yml`;
  writeFileSync(join(checkout, name), stringify(service));
  return name;
};

/** Runs the API (`sls offline`) with its consumers, and the empty function. @throws Failure when it does not start */
const startApi = async (environment: NodeJS.ProcessEnv): Promise<SlsOffline> => {
  const config = writeConfig();
  try {
    return await startSlsOffline({ environment, config });
  } finally {
    rmSync(join(checkout, config), { force: true });
  }
};

/** A step with its time; `detail` is shown while it is under way. */
export const during = async <Result>(
  report: Report,
  what: string,
  work: (detail: (text: string) => void) => Promise<Result>,
): Promise<Result> => {
  const step = report.step(what);
  try {
    const result = await work(step.detail);
    step.done();
    return result;
  } catch (error) {
    step.failed();
    throw error;
  }
};

/**
 * Runs a bench on services of its own (on those that the environment gives by URL, where it does: they keep what the
 * bench writes) with the API in front of them, ends all of it, and then the process. The environment of this process
 * is then the functions' own: they can be called in process.
 */
export const runBench = async (work: (api: URL, report: Report) => Promise<void>): Promise<never> => {
  const report = terminalReport(process.stderr);
  const interrupted = new AbortController();
  const whenInterrupted = new Promise<never>((_, reject) => {
    interrupted.signal.addEventListener('abort', () => reject(new Failure('interrupted')));
  });
  whenInterrupted.catch(() => undefined);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(signal, () => interrupted.abort());

  const onStack = async (stack: Stack) => {
    if (stack.urls.OPENSEARCH_URL === undefined)
      throw new Failure('There is no OpenSearch to measure: set OPENSEARCH_URL.');
    Object.assign(process.env, stack.urls, {
      JWT_SECRET: process.env.JWT_SECRET || stack.secret('jwt'),
      // One user does the work of many. The limiter counts each request all the same.
      LIMIT_READS: '100000000/60',
      LIMIT_WRITES: '100000000/60',
    });
    await during(report, 'migrating', () =>
      runFunction({ name: 'operations/migrate', environment: process.env }),
    );
    const api = await during(report, 'starting the API', () => startApi(process.env));
    await Promise.race([work(new URL(api.url), report), whenInterrupted]).finally(api.stop);
  };

  let code = 0;
  try {
    await removeAbandonedStacks('bench-');
    const stack = await startServices({
      stack: `bench-${process.pid}`,
      environment: process.env,
      report,
      fresh: true,
      signal: interrupted.signal,
    });
    try {
      await onStack(stack);
    } finally {
      // The functions' clients in this process stay open, and would say that their servers are gone.
      logger.setLogLevel('SILENT');
      await stack.stop();
    }
  } catch (error) {
    code = 1;
    console.error(error instanceof Failure ? error.message : error);
  }
  return process.exit(code);
};
