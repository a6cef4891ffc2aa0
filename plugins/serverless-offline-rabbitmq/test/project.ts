import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { inject, onTestFinished, vi } from 'vitest';
import { pickPort } from '../../../local/services/index.ts';

export const root = resolve(import.meta.dirname, '../../..');

/** A folder of a service with the given files; removed after the test. */
export const createProject = async (files: Record<string, string>): Promise<string> => {
  const folder = await mkdtemp(join(tmpdir(), 'serverless-offline-rabbitmq-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content);
  return folder;
};

/** Lets a project use this repository's packages. */
export const linkPackages = (folder: string): Promise<void> =>
  symlink(join(root, 'node_modules'), join(folder, 'node_modules'));

export type Offline = {
  process: ChildProcess;
  output: () => string;
  /** Threads of the process. */
  countThreads: () => Promise<number>;
  eventually: (assertion: () => void | Promise<void>) => Promise<void>;
};

/** Runs a command of the framework in a project that has it under the name `framework`; ended after the test. */
export const startServerless = async (
  folder: string,
  framework: 'serverless' | 'osls',
  ...command: string[]
): Promise<Offline> => {
  let output = '';
  const child = spawn(
    process.execPath,
    [join(folder, 'node_modules', framework, 'bin/serverless.js'), ...command],
    {
      cwd: folder,
      env: { ...process.env, RABBITMQ_URL: inject('brokerUrl'), SLS_TELEMETRY_DISABLED: '1' },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => {
      output += chunk;
    });
  }
  const ended = once(child, 'exit').then(() => Promise.reject(new Error(`sls ended:\n${output}`)));
  ended.catch(() => undefined);
  onTestFinished(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  });
  return {
    process: child,
    output: () => output,
    countThreads: async () => (await readdir(`/proc/${child.pid}/task`)).length,
    eventually: async (assertion) => {
      await Promise.race([vi.waitFor(assertion, { timeout: 59_000, interval: 50 }), ended]);
    },
  };
};

/** A free port for serverless-offline's Lambda endpoint. */
export const pickLambdaPort = () => pickPort(undefined);
