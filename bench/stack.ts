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
  type ServiceName,
  type Stack,
  startServices,
  terminalReport,
} from '../local/services/index.ts';

const checkout = resolve(import.meta.dirname, '..');

/** The route of the function that does nothing, by GET and POST. */
export const emptyPath = '/bench/empty';

/** serverless.yml with one more function, in a separate file. osls requires it in the service's folder. */
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

export type Running = { stack: Stack; api: URL; report: Report };

/** Starts the API in front of the servers if it is wanted. The environment of this process becomes the functions' own. */
const onStack = async (
  { stack, report }: Omit<Running, 'api'>,
  withApi: boolean,
  work: (running: Running) => Promise<void>,
): Promise<void> => {
  Object.assign(process.env, { OPENSEARCH_URL: '' }, stack.urls, {
    JWT_SECRET: stack.secret('jwt'),
    // One user does the work of many. The limiter still counts each request.
    LIMIT_READS: '100000000/60',
    LIMIT_WRITES: '100000000/60',
  });
  await during(report, 'migrating', () =>
    runFunction({ name: 'operations/migrate', environment: process.env }),
  );
  const api = withApi ? await during(report, 'starting the API', () => startApi(process.env)) : undefined;
  try {
    await work({ stack, api: new URL(api?.url ?? 'http://127.0.0.1'), report });
  } finally {
    await api?.stop();
  }
};

/**
 * Runs a bench on services of its own, ends all of them, and then the process. Servers that the environment names are
 * not used: benches kill and wipe their servers.
 */
export const runBench = async (
  { only, withApi }: { only?: readonly ServiceName[]; withApi: boolean },
  work: (running: Running) => Promise<void>,
): Promise<never> => {
  const report = terminalReport(process.stderr);
  const interrupted = new AbortController();
  const whenInterrupted = new Promise<never>((_, reject) => {
    interrupted.signal.addEventListener('abort', () => reject(new Failure('interrupted')));
  });
  whenInterrupted.catch(() => undefined);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(signal, () => interrupted.abort());
  const { MYSQL_URL, REDIS_URL, RABBITMQ_URL, OPENSEARCH_URL, ...environment } = process.env;

  let code = 0;
  try {
    await removeAbandonedStacks('bench-');
    const stack = await startServices({
      stack: `bench-${process.pid}`,
      environment,
      report,
      fresh: true,
      ...(only === undefined ? {} : { only }),
      signal: interrupted.signal,
    });
    // The functions' clients in this process stay open, and report that their servers are gone at the end.
    logger.setLogLevel('SILENT');
    try {
      await onStack({ stack, report }, withApi, (running) => Promise.race([work(running), whenInterrupted]));
    } finally {
      await stack.stop();
    }
  } catch (error) {
    code = 1;
    console.error(error instanceof Failure ? error.message : error);
  }
  return process.exit(code);
};
