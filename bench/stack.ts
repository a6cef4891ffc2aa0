import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { parse, stringify } from 'yaml';
import { logger } from '#lib/runtime/logger.ts';
import {
  asOwned,
  Failure,
  messageOf,
  pickPort,
  type Report,
  removeAbandonedStacks,
  type Stack,
  startServices,
  terminalReport,
} from '../local/services/index.ts';

const checkout = resolve(import.meta.dirname, '..');
const readyWithinMs = 120_000;
const stopPatienceMs = 10_000;

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

const owned = (args: string[]) => asOwned({ file: process.execPath, args });

const migrate = async (env: NodeJS.ProcessEnv): Promise<void> => {
  const { file, args } = owned([
    join(checkout, 'local/services/invoke.ts'),
    join(checkout, 'functions/operations/migrate.ts'),
  ]);
  await promisify(execFile)(file, args, { cwd: checkout, env });
};

/** Runs the API (`sls offline`) with its consumers, and the empty function. @throws Failure when it does not start */
const startApi = async (env: NodeJS.ProcessEnv): Promise<{ url: URL; stop: () => Promise<void> }> => {
  const config = writeConfig();
  const port = await pickPort(undefined);
  const { file, args } = owned([
    join(checkout, 'node_modules/serverless/bin/serverless.js'),
    ...[
      'offline',
      '--config',
      config,
      '--httpPort',
      `${port}`,
      '--lambdaPort',
      `${await pickPort(undefined)}`,
    ],
    '--noSponsor',
  ]);
  const child = spawn(file, args, {
    cwd: checkout,
    env: { ...env, FORCE_COLOR: '0', SLS_TELEMETRY_DISABLED: '1' },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (chunk: string) => {
      output = (output + chunk).slice(-5_000);
    });
  }
  const stop = () => end(child);
  try {
    const url = new URL(`http://127.0.0.1:${port}`);
    await untilWell(url, child, () => output);
    return { url, stop };
  } catch (error) {
    await stop();
    throw error;
  } finally {
    rmSync(join(checkout, config), { force: true });
  }
};

const untilWell = async (url: URL, child: ChildProcess, output: () => string): Promise<void> => {
  const deadline = performance.now() + readyWithinMs;
  for (let last = 'no answer'; ; await delay(100)) {
    try {
      const response = await fetch(new URL('/health', url), { signal: AbortSignal.timeout(5_000) });
      if (response.ok) return;
      last = `${response.status} ${await response.text()}`;
    } catch (error) {
      last = messageOf(error);
    }
    if (child.exitCode !== null || performance.now() > deadline)
      throw new Failure(`sls offline did not start (GET /health: ${last}):\n${output()}`);
  }
};

const end = async (child: ChildProcess): Promise<void> => {
  const exited = child.exitCode === null && child.signalCode === null ? once(child, 'exit') : undefined;
  child.kill('SIGTERM');
  await Promise.race([exited, delay(stopPatienceMs, undefined, { ref: false })]);
  try {
    // What it may have left in its group.
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
  } catch {
    // Gone.
  }
  await exited;
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
    await during(report, 'migrating', () => migrate(process.env));
    const api = await during(report, 'starting the API', () => startApi(process.env));
    await Promise.race([work(api.url, report), whenInterrupted]).finally(api.stop);
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
