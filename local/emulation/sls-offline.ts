import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { asOwned, Failure, pickPort } from '../services/index.ts';
import { timeLimits } from '../time-limits.ts';
import { findUnreadiness, isHealthy, type Readiness } from './readiness.ts';

const checkout = resolve(import.meta.dirname, '../..');
const POLL_MS = 100;
const LAST_CHARACTERS = 5_000;

export type SlsOfflineOptions = {
  environment: NodeJS.ProcessEnv;
  /** Claimed ports if absent. */
  ports?: { http?: number; websocket?: number; lambda?: number };
  /** Folder of the service; this checkout if absent. */
  folder?: string;
  /** Name of a configuration in the folder; serverless.yml if absent. */
  config?: string;
  /** Rebuilds and reloads functions whose sources change. */
  watch?: boolean;
  /** File that gets the output. If absent, the output is kept until the API is ready, and then goes to `onOutput`. */
  logFile?: string;
  onOutput?: (text: string) => void;
  /** Receives the process id before the API is ready. */
  onPid?: (pid: number) => void;
  readiness?: Readiness;
  signal?: AbortSignal;
};

/** A running `sls offline`: HTTP functions, consumers and schedules. */
export type SlsOffline = {
  /** Of the HTTP API, without a trailing slash. */
  url: string;
  /** Of the WebSocket API. */
  socketUrl: string;
  /** Of the Lambda API, which invokes functions by name. */
  lambdaUrl: string;
  pid: number;
  /** Settles with the exit code or the signal when the process has ended. */
  exited: Promise<string>;
  /** Sends a signal to the process group. */
  signal: (name: NodeJS.Signals) => void;
  /** SIGTERM, and SIGKILL after a grace period. Settles when the process group is gone. */
  stop: () => Promise<void>;
  /** SIGKILL. Settles when the process is gone. */
  kill: () => Promise<void>;
};

type Ports = { http: number; websocket: number; lambda: number };
type Output = { last: () => string; hasFailedStart: () => boolean; ready: () => void };

const spawnOffline = (options: SlsOfflineOptions, ports: Ports): ChildProcess => {
  const { environment, folder = checkout, config, watch, logFile } = options;
  const { file, args } = asOwned({
    file: process.execPath,
    args: [
      join(checkout, 'node_modules/serverless/bin/serverless.js'),
      'offline',
      ...(config === undefined ? [] : ['--config', config]),
      ...(watch === true ? ['--watch'] : []),
      ...['--httpPort', `${ports.http}`, '--websocketPort', `${ports.websocket}`],
      ...['--lambdaPort', `${ports.lambda}`, '--noSponsor'],
    ],
  });
  const output = logFile === undefined ? 'pipe' : openSync(logFile, 'a');
  try {
    // A process group of its own: Ctrl-C at the terminal reaches only us, and a signal can reach all of the group.
    return spawn(file, args, {
      cwd: folder,
      env: {
        ...environment,
        CONNECTIONS_URL: `http://localhost:${ports.websocket}`,
        LAMBDA_URL: `http://localhost:${ports.lambda}`,
        SLS_TELEMETRY_DISABLED: '1',
        FORCE_COLOR: '0',
      },
      stdio: ['ignore', output, output],
      detached: true,
    });
  } finally {
    if (output !== 'pipe') closeSync(output);
  }
};

/** After a failed start, osls prints this line and may keep half of its servers running. */
const failedStart = /^Error:$/m;

const outputOf = (child: ChildProcess, { logFile, onOutput }: SlsOfflineOptions): Output => {
  if (logFile !== undefined) {
    const last = () => readFileSync(logFile, 'utf8').slice(-LAST_CHARACTERS);
    // The file may hold the output of earlier processes.
    return { last, hasFailedStart: () => false, ready: () => undefined };
  }
  let held = '';
  let isReady = false;
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => {
      if (isReady) onOutput?.(text);
      else held += text;
    });
  }
  return {
    last: () => held.slice(-LAST_CHARACTERS),
    hasFailedStart: () => failedStart.test(held),
    ready: () => {
      isReady = true;
      held = '';
    },
  };
};

const control = (
  child: ChildProcess,
  pid: number,
  folder: string,
): Omit<SlsOffline, 'url' | 'socketUrl' | 'lambdaUrl'> => {
  const exited = once(child, 'exit').then(([code, by]) => (by === null ? `exit code ${code}` : `by ${by}`));
  const signal = (name: NodeJS.Signals) => {
    try {
      process.kill(-pid, name);
    } catch {
      // The group is gone.
    }
  };
  const kill = async () => {
    signal('SIGKILL');
    await exited;
    // A killed process leaves its bundles behind.
    rmSync(join(folder, `dist/run-${pid}`), { recursive: true, force: true });
  };
  const stop = async () => {
    child.kill('SIGTERM');
    await Promise.race([exited, delay(timeLimits.apiStopMs, undefined, { ref: false })]);
    // Ends children that outlive the process.
    await kill();
  };
  return { pid, exited, signal, stop, kill };
};

const untilReady = async (url: string, child: ChildProcess, output: Output, options: SlsOfflineOptions) => {
  const { readiness = isHealthy(), signal } = options;
  const deadline = performance.now() + timeLimits.apiReadyMs;
  for (;;) {
    signal?.throwIfAborted();
    const hasEnded = child.exitCode !== null || child.signalCode !== null;
    if (hasEnded || output.hasFailedStart())
      throw new Failure(`sls offline did not start:\n${output.last()}`);
    const answer = await findUnreadiness(url, readiness);
    if (answer === undefined) return;
    if (performance.now() > deadline) {
      throw new Failure(
        `sls offline is not ready: GET ${readiness.path} answers ${answer}\n${output.last()}`,
      );
    }
    await delay(POLL_MS);
  }
};

/**
 * Starts the API with its consumers and schedules, and waits until it is ready.
 * @throws Failure with the last lines of the output; the process group is gone by then
 */
export const startSlsOffline = async (options: SlsOfflineOptions): Promise<SlsOffline> => {
  const ports = {
    http: options.ports?.http ?? (await pickPort(undefined)),
    websocket: options.ports?.websocket ?? (await pickPort(undefined)),
    lambda: options.ports?.lambda ?? (await pickPort(undefined)),
  };
  const child = spawnOffline(options, ports);
  if (child.pid === undefined) {
    const [error] = await once(child, 'error');
    throw new Failure(`sls offline could not be started: ${error}`);
  }
  options.onPid?.(child.pid);
  const url = `http://127.0.0.1:${ports.http}`;
  const offline = {
    url,
    socketUrl: `ws://127.0.0.1:${ports.websocket}`,
    lambdaUrl: `http://127.0.0.1:${ports.lambda}`,
    ...control(child, child.pid, options.folder ?? checkout),
  };
  const output = outputOf(child, options);
  try {
    await untilReady(url, child, output, options);
  } catch (error) {
    await offline.stop();
    throw error;
  }
  output.ready();
  return offline;
};
