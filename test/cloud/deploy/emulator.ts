import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { pickPort, releasePort } from '../../../local/services/index.ts';

const checkout = resolve(import.meta.dirname, '../../..');
const python = join(checkout, '.data/emulator/bin/python');
const readyWithinMs = 60_000;

/** Whether `npm run cloud:check` could install the emulator: it needs Python 3. */
export const isInstalled = (): boolean => existsSync(python);

export type Emulator = {
  url: string;
  /** Credentials and region for clients of the emulated AWS. */
  clientConfig: {
    endpoint: string;
    region: string;
    credentials: { accessKeyId: string; secretAccessKey: string };
  };
  /** The environment of a command such as `sls deploy`. It has nothing else. */
  environment: Record<string, string>;
  /** The last lines of its log. */
  log: () => string;
  stop: () => Promise<void>;
};

/** Every listener of the emulator is on loopback, and it finds no Docker engine. */
const environmentOf = (port: number, folder: string, settings: object) => ({
  // Functions run on the Node of this project.
  PATH: [dirname(process.execPath), process.env.PATH].join(delimiter),
  HOME: folder,
  TMPDIR: folder,
  BIND_HOST: '127.0.0.1',
  MINISTACK_HOST: '127.0.0.1',
  GATEWAY_PORT: String(port),
  MINISTACK_REGION: 'eu-west-1',
  AUTH: 'true',
  // The quota of an AWS account. Without it the emulator takes one by the free memory of the machine.
  LAMBDA_ACCOUNT_CONCURRENCY: '1000',
  SFTP_ENABLED: '0',
  IOT_MTLS_ENABLED: '0',
  DOCKER_HOST: 'unix:///nonexistent',
  AWS_ENDPOINT_URL_SECRETS_MANAGER: `http://127.0.0.1:${port}`,
  SETTINGS: JSON.stringify(settings),
});

const isReady = async (url: string): Promise<boolean> => {
  try {
    return (await fetch(`${url}/_ministack/health`, { signal: AbortSignal.timeout(2_000) })).ok;
  } catch {
    return false;
  }
};

/** Ends the emulator and the functions that it runs, which are processes of its group. */
const endGroup = async (child: ChildProcess): Promise<void> => {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  process.kill(-child.pid, 'SIGKILL');
  await gone;
};

/**
 * Starts an emulated AWS that enforces IAM, with an empty account.
 *
 * @param settings the values of the secrets that hold a setting, such as `MYSQL_URL`
 * @throws Error with the emulator's log when it does not start
 */
export const startEmulator = async (settings: Record<string, string>): Promise<Emulator> => {
  const port = await pickPort(undefined);
  // Outside of the checkout, whose package.json would turn the emulator's own scripts into ES modules.
  const folder = mkdtempSync(join(tmpdir(), 'chat-emulator-'));
  const logFile = join(folder, 'emulator.log');
  const output = openSync(logFile, 'w');
  const child = spawn(python, [join(import.meta.dirname, 'emulator.py')], {
    cwd: folder,
    env: environmentOf(port, folder, settings),
    detached: true,
    stdio: ['pipe', output, output],
  });
  const url = `http://127.0.0.1:${port}`;
  const log = () => readFileSync(logFile, 'utf8').split('\n').slice(-60).join('\n');
  const stop = async () => {
    await endGroup(child);
    releasePort(port);
    rmSync(folder, { recursive: true, force: true });
  };
  const deadline = Date.now() + readyWithinMs;
  while (!(await isReady(url))) {
    if (child.exitCode !== null || Date.now() > deadline) {
      const lines = log();
      await stop();
      throw new Error(`The emulated AWS does not start:\n${lines}`);
    }
    await delay(200);
  }
  const credentials = { accessKeyId: 'test', secretAccessKey: 'test' };
  return {
    url,
    clientConfig: { endpoint: url, region: 'eu-west-1', credentials },
    environment: {
      PATH: process.env.PATH ?? '',
      HOME: folder,
      SLS_TELEMETRY_DISABLED: '1',
      AWS_ENDPOINT_URL: url,
      AWS_ACCESS_KEY_ID: credentials.accessKeyId,
      AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
    },
    log,
    stop,
  };
};
