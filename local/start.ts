// `npm start`: the services, the schema, the API, until Ctrl-C.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import {
  asOwned,
  Failure,
  isFree,
  messageOf,
  ownerOf,
  pickPort,
  type Stack,
  startServices,
  terminalReport,
} from './services/index.ts';

const stackName = 'start';
const checkout = resolve(import.meta.dirname, '..');
const readyWithinMs = 90_000;
const stopPatienceMs = 10_000;
const report = terminalReport(process.stdout);

/** @throws Failure when PORT is no port, when we are running already, or when the port is taken */
const checkPort = async (): Promise<number> => {
  const text = process.env.PORT || '3000';
  const port = Number(text);
  if (!/^\d+$/.test(text) || port < 1 || port > 65_535) {
    throw new Failure(`PORT is "${text}". Expected a number from 1 to 65535, or nothing for 3000.`);
  }
  const owner = ownerOf(stackName);
  if (owner !== undefined) {
    throw new Failure(
      `It is already running in this checkout, as process ${owner}. Use that one, or end it first (Ctrl-C in its terminal, or kill ${owner}).`,
    );
  }
  // One after the other: on the same port they would meet each other.
  for (const host of ['127.0.0.1', '0.0.0.0', '::1']) {
    if (await isFree(port, host)) continue;
    throw new Failure(
      `Port ${port} is taken by another program. End that, or choose another port: PORT=${port + 10} npm start`,
    );
  }
  return port;
};

/**
 * Runs one function in a process of its own.
 * @throws Failure with what it printed
 */
const invoke = async (name: string, event: object, environment: NodeJS.ProcessEnv, signal: AbortSignal) => {
  const { file, args } = asOwned({
    file: process.execPath,
    args: [
      join(import.meta.dirname, 'services/invoke.ts'),
      join(checkout, 'functions', `${name}.ts`),
      JSON.stringify(event),
    ],
  });
  try {
    await promisify(execFile)(file, args, {
      cwd: checkout,
      env: environment,
      signal,
      maxBuffer: 64 * 1024 * 1024,
    });
  } catch (error) {
    signal.throwIfAborted();
    const output =
      error instanceof Error && 'stderr' in error && 'stdout' in error
        ? `${error.stdout}${error.stderr}`
        : '';
    throw new Failure(`functions/${name}.ts failed: ${output.trim() || messageOf(error)}`);
  }
};

/** Brings up schema, topology and index. */
const migrate = async (environment: NodeJS.ProcessEnv, signal: AbortSignal) => {
  const step = report.step('migrating');
  try {
    await invoke('operations/migrate', {}, environment, signal);
    step.done('migrated');
  } catch (error) {
    step.failed();
    throw error;
  }
};

/**
 * After a restart of Redis no writes are taken until a recovery has run. The first refused write would start one, and
 * the schedule within a minute.
 */
const recoverCounters = (environment: NodeJS.ProcessEnv, signal: AbortSignal) =>
  invoke('scheduled/recover-counters', {}, environment, signal);

/** What serverless-offline prints about each call besides the call itself. */
const isNoise = (line: string) =>
  /^\s*$|\(λ: \S+\) RequestId: |^Successfully invoked scheduled function/.test(line);

/** osls prints a failed start so, and then may stay with half of it running. */
const isFailedStart = (output: string) => /^Error:$/m.test(output);

/** Whether an answer of /health names no other part than OpenSearch. */
const isOnlySearchDown = (answer: string): boolean => {
  const { errors = [] }: { errors?: { path: string }[] } = JSON.parse(answer);
  return errors.length > 0 && errors.every(({ path }) => path === 'opensearch');
};

interface Api {
  readonly child: ChildProcess;
  readonly exited: Promise<string>;
  stop(): Promise<void>;
  kill(): void;
}

/** `sls offline` in a process group of its own: Ctrl-C reaches us alone. Answers when the API does. */
const startApi = async (
  port: number,
  environment: NodeJS.ProcessEnv,
  stack: Stack,
  signal: AbortSignal,
): Promise<Api> => {
  const step = report.step('starting the API');
  const { file, args } = asOwned({
    file: process.execPath,
    args: [
      join(checkout, 'node_modules/serverless/bin/serverless.js'),
      'offline',
      ...['--httpPort', `${port}`, '--lambdaPort', `${await pickPort(undefined)}`],
      ...['--noPrependStageInUrl', '--noSponsor'],
    ],
  });
  const child = spawn(file, args, {
    cwd: checkout,
    env: { ...environment, FORCE_COLOR: '0' },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  if (child.pid !== undefined) stack.adopt('sls offline', child.pid);
  const exited = once(child, 'exit').then(([code, by]) => (by === null ? `exit code ${code}` : `by ${by}`));

  const kill = () => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    } catch {
      // Gone.
    }
  };
  const stop = async () => {
    child.kill('SIGTERM');
    await Promise.race([exited, delay(stopPatienceMs, undefined, { ref: false })]);
    // What it may have left in its group.
    kill();
    await exited;
  };

  // Until it answers, its output matters only if it does not.
  let ready = false;
  let held = '';
  for (const stream of [child.stdout, child.stderr]) {
    let rest = '';
    stream?.setEncoding('utf8').on('data', (chunk: string) => {
      if (!ready) {
        held += chunk;
        return;
      }
      const lines = (rest + chunk).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) if (!isNoise(line)) report.say(line);
    });
  }

  let gone: string | undefined;
  void exited.then((how) => {
    gone = how;
  });
  try {
    const deadline = performance.now() + readyWithinMs;
    for (let last = 'no answer'; ; ) {
      signal.throwIfAborted();
      if (gone !== undefined || isFailedStart(held))
        throw new Failure(`sls offline did not start (${gone ?? 'it still ran'}):\n${held.trim()}`);
      try {
        const response = await fetch(`http://localhost:${port}/health`, {
          signal: AbortSignal.timeout(5_000),
        });
        const answer = await response.text();
        if (response.ok || (stack.urls.OPENSEARCH_URL === undefined && isOnlySearchDown(answer))) break;
        last = `${response.status} ${answer}`;
      } catch (error) {
        last = messageOf(error);
      }
      if (performance.now() > deadline) {
        throw new Failure(
          `GET http://localhost:${port}/health does not say that all is well: ${last}\n${held.trim()}`,
        );
      }
      await delay(100);
    }
  } catch (error) {
    step.failed();
    await stop();
    throw error;
  }
  ready = true;
  step.done('the API answers');
  return { child, exited, stop, kill };
};

const summary = (stack: Stack, port: number) => {
  const services = Object.values(stack.services).filter((service) => service !== undefined);
  const width = Math.max(...services.map(({ version }) => version.length));
  return [
    '',
    ...services.map(({ version, where }) => `  ${version.padEnd(width)}  ${where}`),
    ...(stack.urls.OPENSEARCH_URL === undefined ? ['  no OpenSearch: search answers 503 (see above)'] : []),
    '',
    `  The API is at http://localhost:${port}, to read and try at http://localhost:${port}/docs`,
    '  Ctrl-C ends it and the services; the data stay.',
    '',
  ].join('\n');
};

/**
 * Starts the API beside OpenSearch, which takes longest and which the migration may have come too early for. What is
 * to be indexed meanwhile waits in its queue.
 */
const whileSearchStarts = async (
  environment: NodeJS.ProcessEnv,
  stack: Stack,
  start: (signal: AbortSignal) => Promise<Api>,
): Promise<Api> => {
  const failed = new AbortController();
  const signal = AbortSignal.any([stopped.signal, failed.signal]);
  const search = stack.ready
    .then(() => invoke('operations/migrate', {}, environment, signal))
    .catch((error) => failed.abort(error));
  const api = await start(signal);
  await search;
  if (signal.aborted) await api.stop();
  signal.throwIfAborted();
  return api;
};

const stopped = new AbortController();
let stack: Stack | undefined;
let api: Api | undefined;

const main = async (): Promise<void> => {
  const port = await checkPort();
  stack = await startServices({
    stack: stackName,
    environment: process.env,
    report,
    signal: stopped.signal,
    // The slowest by far, and the API can start beside it.
    background: ['opensearch'],
  });
  const environment = {
    ...process.env,
    ...stack.urls,
    // Empty: an OPENSEARCH_URL of the shell must not lead elsewhere.
    OPENSEARCH_URL: stack.urls.OPENSEARCH_URL ?? '',
    JWT_SECRET: process.env.JWT_SECRET || stack.secret('jwt'),
  };
  const started = stack;
  await migrate(environment, stopped.signal);
  api = await whileSearchStarts(environment, stack, (signal) => {
    // What goes wrong with it shows in /health, which the API is waited for by.
    void recoverCounters(environment, signal).catch((error) => {
      if (!signal.aborted) report.say(messageOf(error));
    });
    return startApi(port, environment, started, signal);
  });
  report.say(summary(stack, port));
  const asked = new Promise<undefined>((done) => {
    stopped.signal.addEventListener('abort', () => done(undefined));
    if (stopped.signal.aborted) done(undefined);
  });
  const how = await Promise.race([asked, api.exited]);
  if (how !== undefined) throw new Failure(`sls offline ended by itself (${how}): its last lines are above.`);
};

const stopAll = async () => {
  await api?.stop();
  await stack?.stop();
};

const onSignal = () => {
  if (!stopped.signal.aborted) {
    report.say('ending; once more to force it');
    stopped.abort(new Failure('stopped'));
    return;
  }
  api?.kill();
  for (const service of Object.values(stack?.services ?? {})) {
    try {
      if (service?.kind !== 'url') service?.kill('SIGKILL');
    } catch {
      // Gone.
    }
  }
  // While the services are starting there is no stack yet: their wish to end with us does it.
  if (stack === undefined) process.exit(1);
};
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onSignal);

// A signal to npm itself ends npm and its shell, and does not come this far.
const parent = process.ppid;
if (process.env.npm_lifecycle_event !== undefined) {
  const watch = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(watch);
    onSignal();
  }, 500);
}

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
  await stopAll();
} catch (error) {
  code = 1;
  console.error(messageOf(error));
}
if (code === 0) report.say('ended');
process.exit(code);
