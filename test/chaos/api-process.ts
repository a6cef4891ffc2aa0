import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { asOwned, Failure, messageOf } from '../../local/services/index.ts';

const checkout = resolve(import.meta.dirname, '../..');
const READY_WITHIN_MS = 90_000;

/** The functions: `sls offline` with all its consumers, in a process group of its own, so that a signal takes all of it. */
export class ApiProcess {
  readonly #child: ChildProcess;
  readonly #pid: number;
  readonly #exited: Promise<unknown>;

  private constructor(child: ChildProcess, pid: number) {
    this.#child = child;
    this.#pid = pid;
    this.#exited = once(child, 'exit');
  }

  get pid(): number {
    return this.#pid;
  }

  /** Settles when it answers requests, whatever the servers behind it do. @throws Failure with the end of its log */
  static async start(options: {
    environment: NodeJS.ProcessEnv;
    ports: { http: number; lambda: number };
    logFile: string;
    onPid: (pid: number) => void;
  }): Promise<ApiProcess> {
    const { environment, ports, logFile, onPid } = options;
    const { file, args } = asOwned({
      file: process.execPath,
      args: [
        join(checkout, 'node_modules/serverless/bin/serverless.js'),
        'offline',
        ...['--httpPort', `${ports.http}`, '--lambdaPort', `${ports.lambda}`, '--noSponsor'],
      ],
    });
    const output = openSync(logFile, 'a');
    const child = spawn(file, args, {
      cwd: checkout,
      env: { ...environment, SLS_TELEMETRY_DISABLED: '1', FORCE_COLOR: '0' },
      stdio: ['ignore', output, output],
      detached: true,
    });
    closeSync(output);
    if (child.pid === undefined) throw new Failure(`${file} could not be started.`);
    onPid(child.pid);
    const api = new ApiProcess(child, child.pid);
    const deadline = performance.now() + READY_WITHIN_MS;
    for (let last = 'no answer'; ; await delay(100)) {
      try {
        const url = `http://127.0.0.1:${ports.http}/openapi.json`;
        const { status } = await fetch(url, { signal: AbortSignal.timeout(5_000) });
        if (status === 200) return api;
        last = `answered ${status}`;
      } catch (error) {
        last = messageOf(error);
      }
      const gone = child.exitCode !== null || child.signalCode !== null;
      if (gone || performance.now() > deadline) {
        await api.kill();
        throw new Failure(
          `sls offline did not start (${last}):\n${readFileSync(logFile, 'utf8').slice(-3_000)}`,
        );
      }
    }
  }

  signal(name: NodeJS.Signals): void {
    try {
      process.kill(-this.#pid, name);
    } catch {
      // Gone.
    }
  }

  /** kill -9; settles when it is gone. */
  async kill(): Promise<void> {
    this.signal('SIGKILL');
    if (this.#child.exitCode === null && this.#child.signalCode === null) await this.#exited;
    // A killed one cannot tidy up its bundles.
    rmSync(join(checkout, `dist/run-${this.#pid}`), { recursive: true, force: true });
  }
}
