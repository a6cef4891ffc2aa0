import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { ScheduledRun } from './scheduled-functions.ts';

/**
 * Scheduled functions in a thread of their own, beside those of `sls offline`. Their clients end with the thread, so that
 * one process can attack several systems in turn.
 */
export class Schedule {
  /** The last report or error of each, to explain a wait without result. */
  readonly last = new Map<string, string>();
  #thread: Worker | undefined;

  /** @param environment the variables of the functions */
  async start(environment: Record<string, string>): Promise<void> {
    const thread = new Worker(new URL('scheduled-functions.ts', import.meta.url), {
      env: { ...process.env, ...environment, POWERTOOLS_LOG_LEVEL: 'SILENT' },
    });
    this.#thread = thread;
    thread.on('message', ({ name, outcome }: ScheduledRun) => this.last.set(name, outcome));
    await once(thread, 'message');
  }

  async stop(): Promise<void> {
    await this.#thread?.terminate();
  }
}
