// npm start: starts the servers, migrates and serves the API until Ctrl-C.
// npm run dev: the same with --watch, which reloads functions when their sources change, and all if serverless.yml does.
import { join, resolve } from 'node:path';
import { isHealthy } from './emulation/readiness.ts';
import { runFunction } from './emulation/run-function.ts';
import { type SlsOffline, startSlsOffline } from './emulation/sls-offline.ts';
import { Failure, messageOf, type Stack, startServices, terminalReport } from './services/index.ts';
import { watchForInterruption } from './start/interruption.ts';
import { createLineFilter, summaryOf } from './start/output.ts';
import { getPorts, type Ports } from './start/port.ts';
import { readSettings } from './start/settings.ts';
import { watchContent } from './start/watch-content.ts';

const stackName = 'start';
const checkout = resolve(import.meta.dirname, '..');
const report = terminalReport(process.stdout);
const stopped = new AbortController();
let stack: Stack | undefined;
let api: SlsOffline | undefined;

const during = async <Result>(what: string, done: string, work: () => Promise<Result>): Promise<Result> => {
  const step = report.step(what);
  try {
    const result = await work();
    step.done(done);
    return result;
  } catch (error) {
    step.failed();
    throw error;
  }
};

/** Creates the schema, the topology and the index. Safe to repeat. */
const migrate = (environment: NodeJS.ProcessEnv, signal: AbortSignal) =>
  runFunction({ name: 'operations/migrate', environment, signal });

/**
 * After a restart of Redis, no writes are accepted until a recovery has run. The schedule would start one within a minute.
 * /health shows a failed recovery, so that the start of the API fails as well.
 */
const recoverCounters = async (environment: NodeJS.ProcessEnv, signal: AbortSignal): Promise<void> => {
  try {
    await runFunction({ name: 'scheduled/recover-counters', environment, signal });
  } catch (error) {
    if (!signal.aborted) report.say(messageOf(error));
  }
};

/** Whether functions are reloaded when their sources change, and the API when serverless.yml does. */
const isWatched = process.argv.includes('--watch');

const runApi = (ports: Ports, environment: NodeJS.ProcessEnv, { urls, adopt }: Stack, signal: AbortSignal) =>
  during('starting the API', 'the API answers', () =>
    startSlsOffline({
      environment,
      signal,
      ports,
      watch: isWatched,
      readiness: isHealthy({ withoutSearch: urls.OPENSEARCH_URL === undefined }),
      onOutput: createLineFilter(report),
      onPid: (pid) => adopt('sls offline', pid),
    }),
  );

/**
 * Starts the API while OpenSearch comes up, which takes longest. The second migration creates the index that the first
 * one could not create; until then, messages to index wait in their queue.
 */
const startApi = async (
  ports: Ports,
  environment: NodeJS.ProcessEnv,
  running: Stack,
): Promise<SlsOffline> => {
  const searchFailed = new AbortController();
  const signal = AbortSignal.any([stopped.signal, searchFailed.signal]);
  const search = running.ready
    .then(() => migrate(environment, signal))
    .catch((error: unknown) => searchFailed.abort(error));
  void recoverCounters(environment, signal);
  const started = await runApi(ports, environment, running, signal);
  await search;
  if (signal.aborted) await started.stop();
  signal.throwIfAborted();
  return started;
};

const whenStopped = new Promise<undefined>((done) => {
  stopped.signal.addEventListener('abort', () => done(undefined));
});

/**
 * Starts the API again after each change of serverless.yml, on the same port and servers. A configuration that does not
 * start is reported, and the next change is awaited.
 * @returns how the API ended by itself; undefined after Ctrl-C
 */
const follow = async (start: () => Promise<SlsOffline>): Promise<string | undefined> => {
  const configuration = watchContent(join(checkout, 'serverless.yml'));
  for (;;) {
    const changed = configuration.next().then(() => 'changed' as const);
    const ended = api?.exited.then((how) => ({ how }));
    const next = await Promise.race([whenStopped, changed, ...(ended === undefined ? [] : [ended])]);
    if (next === undefined) return undefined;
    if (next !== 'changed') return next.how;
    report.say('serverless.yml has changed');
    const before = api;
    api = undefined;
    await before?.stop();
    try {
      api = await start();
    } catch (error) {
      if (stopped.signal.aborted) return undefined;
      report.say(`${messageOf(error)}\nThe API is down until the next change of serverless.yml.`);
    }
  }
};

const main = async (): Promise<void> => {
  const { given, hints } = readSettings(join(checkout, '.env'), process.env);
  Object.assign(process.env, given);
  for (const hint of hints) report.say(`  ! ${hint}`);
  const ports = await getPorts(stackName);
  stack = await startServices({
    stack: stackName,
    environment: process.env,
    report,
    signal: stopped.signal,
    background: ['opensearch'],
  });
  const environment = {
    ...process.env,
    ...stack.urls,
    // Empty: an OPENSEARCH_URL of the shell must not lead elsewhere.
    OPENSEARCH_URL: stack.urls.OPENSEARCH_URL ?? '',
    JWT_SECRET: process.env.JWT_SECRET || stack.secret('jwt'),
  };
  await during('migrating', 'migrated', () => migrate(environment, stopped.signal));
  const running = stack;
  api = await startApi(ports, environment, running);
  const urls = { url: `http://localhost:${ports.http}`, socketUrl: `ws://localhost:${ports.websocket}` };
  running.announce(urls);
  report.say(summaryOf(running, urls));
  const how = isWatched
    ? await follow(() => runApi(ports, environment, running, stopped.signal))
    : await Promise.race([whenStopped, api.exited]);
  if (how !== undefined) throw new Failure(`sls offline ended by itself (${how}): its last lines are above.`);
};

const killServices = (): void => {
  for (const service of Object.values(stack?.services ?? {})) {
    try {
      if (service?.kind !== 'url') service?.kill('SIGKILL');
    } catch {
      // The server is gone.
    }
  }
};

/** The first time ends all in order, the second time by force. */
watchForInterruption(() => {
  if (!stopped.signal.aborted) {
    report.say('ending; once more to force it');
    stopped.abort(new Failure('stopped'));
    return;
  }
  api?.signal('SIGKILL');
  killServices();
  // Without a stack, the servers are still starting. They end with this process.
  if (stack === undefined) process.exit(1);
});

let code = 0;
try {
  await main();
} catch (error) {
  if (!stopped.signal.aborted) {
    code = 1;
    console.error(
      `\n${error instanceof Failure ? error.message : error instanceof Error ? error.stack : error}`,
    );
  }
}
try {
  await api?.stop();
  await stack?.stop();
} catch (error) {
  code = 1;
  console.error(messageOf(error));
}
if (code === 0) report.say('ended');
process.exit(code);
