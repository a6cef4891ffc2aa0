import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { TestProject } from 'vitest/node';
import { asOwned, Failure, messageOf, pickPort } from '../../local/services/index.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** Of the API that runs for the end-to-end tests, without a trailing slash. */
    apiUrl: string;
    /** Of the Lambda API that serverless-offline has beside it: functions are invoked there by name. */
    lambdaUrl: string;
    /** What the functions read: for those that a test runs on their own. */
    functionEnvironment: Record<string, string>;
  }
}

const checkout = resolve(import.meta.dirname, '../..');
const readyWithinMs = 90_000;
const stopPatienceMs = 10_000;

/** What the functions read, over the servers of this run. */
const functionEnvironmentOf = (project: TestProject): Record<string, string> => {
  const { urls, names } = project.getProvidedContext();
  return {
    ...urls,
    OPENSEARCH_URL: urls.OPENSEARCH_URL ?? '',
    REDIS_KEY_PREFIX: names.keyPrefix,
    OPENSEARCH_INDEX_PREFIX: names.indexPrefix,
    JWT_SECRET: 'secret of the end-to-end tests and of no use elsewhere',
    // A command that can never be applied is set aside within the time of a test.
    MAX_DEFERRALS: '10',
    // All tests sign up and in from one address.
    LIMIT_SIGN_UP: '100000/3600',
    LIMIT_SIGN_IN: '100000/60',
    // Tests say themselves when the counts are synchronised.
    SYNC_COUNTS_RATE: 'rate(1 day)',
  };
};

const migrate = async (environment: NodeJS.ProcessEnv): Promise<void> => {
  const { file, args } = asOwned({
    file: process.execPath,
    args: [
      join(checkout, 'local/services/invoke.ts'),
      join(checkout, 'functions/operations/migrate.ts'),
      '{}',
    ],
  });
  await promisify(execFile)(file, args, { cwd: checkout, env: environment });
};

/** Ends the process and what it started, which is in its process group. */
const stop = async (child: ChildProcess): Promise<void> => {
  const exited = child.exitCode === null && child.signalCode === null ? once(child, 'exit') : undefined;
  child.kill('SIGTERM');
  await Promise.race([exited, delay(stopPatienceMs, undefined, { ref: false })]);
  try {
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
  } catch {
    // Gone.
  }
  await exited;
};

const waitUntilReady = async (url: string, child: ChildProcess, searchIsOff: boolean): Promise<void> => {
  const deadline = performance.now() + readyWithinMs;
  for (let last = 'no answer'; ; await delay(100)) {
    if (child.exitCode !== null || child.signalCode !== null) throw new Failure('it ended by itself');
    try {
      const response = await fetch(`${url}/health`, { signal: AbortSignal.timeout(5_000) });
      if (response.ok || searchIsOff) return;
      last = `${response.status} ${await response.text()}`;
    } catch (error) {
      last = messageOf(error);
    }
    if (performance.now() > deadline) throw new Failure(`GET /health does not say that all is well: ${last}`);
  }
};

/**
 * For a vitest project, after the global setup of the services: migrates, runs the API with its consumers
 * (`sls offline`) on a port of its own, and hands its address to the tests: `inject('apiUrl')`.
 * What it logs is kept in a file, whose path is told when a test fails.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const functionEnvironment = functionEnvironmentOf(project);
  const environment = {
    ...process.env,
    ...functionEnvironment,
    SLS_TELEMETRY_DISABLED: '1',
    FORCE_COLOR: '0',
  };
  await migrate(environment);

  const [httpPort, lambdaPort] = [await pickPort(undefined), await pickPort(undefined)];
  const apiUrl = `http://127.0.0.1:${httpPort}`;
  const logFile = join(mkdtempSync(join(tmpdir(), 'chat-e2e-')), 'sls-offline.log');
  const output = openSync(logFile, 'a');
  const { file, args } = asOwned({
    file: process.execPath,
    args: [
      join(checkout, 'node_modules/serverless/bin/serverless.js'),
      'offline',
      ...['--httpPort', `${httpPort}`, '--lambdaPort', `${lambdaPort}`, '--noSponsor'],
    ],
  });
  const child = spawn(file, args, {
    cwd: checkout,
    env: environment,
    stdio: ['ignore', output, output],
    detached: true,
  });
  try {
    await waitUntilReady(apiUrl, child, functionEnvironment.OPENSEARCH_URL === '');
  } catch (error) {
    await stop(child);
    throw new Failure(
      `sls offline did not start: ${messageOf(error)}\n${readFileSync(logFile, 'utf8').slice(-5_000)}`,
    );
  }
  project.provide('apiUrl', apiUrl);
  project.provide('lambdaUrl', `http://127.0.0.1:${lambdaPort}`);
  project.provide('functionEnvironment', functionEnvironment);
  return async () => {
    await stop(child);
    if (project.vitest.state.getCountOfFailedTests() === 0) {
      rmSync(dirname(logFile), { recursive: true, force: true });
    } else console.error(`What the functions of the end-to-end tests logged: ${logFile}`);
  };
}
