import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { isHealthy } from '../../local/emulation/readiness.ts';
import { runFunction } from '../../local/emulation/run-function.ts';
import { startSlsOffline } from '../../local/emulation/sls-offline.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** Of the API that runs for the end-to-end tests, without a trailing slash. */
    apiUrl: string;
    /** Of its WebSocket API. */
    socketUrl: string;
    /** Of the Lambda API that serverless-offline has beside it: functions are invoked there by name. */
    lambdaUrl: string;
    /** The functions' settings, for tests that run functions themselves. */
    functionEnvironment: Record<string, string>;
  }
}

/** The functions' settings: the servers of this run. */
const functionEnvironmentOf = (project: TestProject): Record<string, string> => {
  const { urls, names } = project.getProvidedContext();
  return {
    ...urls,
    OPENSEARCH_URL: urls.OPENSEARCH_URL ?? '',
    REDIS_KEY_PREFIX: names.keyPrefix,
    OPENSEARCH_INDEX_PREFIX: names.indexPrefix,
    JWT_SECRET: 'secret of the end-to-end tests and of no use elsewhere',
    // A command that can never be applied becomes a dead letter within the time of a test.
    MAX_DEFERRALS: '10',
    // All tests sign up and in from one address.
    LIMIT_SIGN_UP: '100000/3600',
    LIMIT_SIGN_IN: '100000/60',
    CORS_ORIGINS: 'https://chat.example.org,https://other.example.org',
    // Tests start the synchronization of counts themselves.
    SYNC_COUNTS_RATE: 'rate(1 day)',
  };
};

/**
 * For a vitest project, after the global setup of the services: migrates, runs the API with its consumers
 * (`sls offline`) on a port of its own, and hands its address to the tests: `inject('apiUrl')`.
 * Its output goes to a file, whose path is printed after a failed test.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const functionEnvironment = functionEnvironmentOf(project);
  const environment = { ...process.env, ...functionEnvironment };
  await runFunction({ name: 'operations/migrate', environment });
  const logFile = join(mkdtempSync(join(tmpdir(), 'chat-e2e-')), 'sls-offline.log');
  const api = await startSlsOffline({
    environment,
    logFile,
    readiness: isHealthy({ withoutSearch: functionEnvironment.OPENSEARCH_URL === '' }),
  });
  project.provide('apiUrl', api.url);
  project.provide('socketUrl', api.socketUrl);
  project.provide('lambdaUrl', api.lambdaUrl);
  project.provide('functionEnvironment', functionEnvironment);
  return async () => {
    await api.stop();
    if (project.vitest.state.getCountOfFailedTests() === 0) {
      rmSync(dirname(logFile), { recursive: true, force: true });
    } else console.error(`What the functions of the end-to-end tests logged: ${logFile}`);
  };
}
