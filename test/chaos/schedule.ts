import { setTimeout as delay } from 'node:timers/promises';
import { createLambdaContext } from '../../local/emulation/lambda-context.ts';

type Handler = (event: object, context: object) => Promise<unknown>;

/** The pause between runs of each scheduled function, which a real schedule runs once a minute. */
const PAUSE_MS = 1_000;
const RUN_MS = 30_000;

/** Scheduled functions, run in this process: environments of their own, beside those of `sls offline`. */
export class Schedule {
  /** The last report or error of each, to explain a wait without result. */
  readonly last = new Map<string, string>();
  readonly #stopped = new AbortController();
  #loops: Promise<void>[] = [];

  /** @param environment the variables of the functions; they become those of this process */
  async start(environment: Record<string, string>): Promise<void> {
    Object.assign(process.env, environment, { POWERTOOLS_LOG_LEVEL: 'SILENT' });
    const [relay, recover, sync] = await Promise.all([
      import('../../functions/scheduled/relay-outbox.ts'),
      import('../../functions/scheduled/recover-counters.ts'),
      import('../../functions/scheduled/sync-counts.ts'),
    ]);
    const loop = async (name: string, handler: Handler, eventOf: () => object | undefined) => {
      while (!this.#stopped.signal.aborted) {
        const event = eventOf();
        if (event !== undefined) this.last.set(name, await this.#run(name, handler, event));
        await delay(PAUSE_MS, undefined, { signal: this.#stopped.signal }).catch(() => undefined);
      }
    };
    this.#loops = [
      loop('relayOutbox', relay.handler as Handler, () => ({ olderThanSeconds: 3 })),
      loop('recoverCounters', recover.handler as Handler, () => ({})),
      loop('syncCounts', sync.handler as Handler, () => ({})),
    ];
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    await Promise.race([Promise.all(this.#loops), delay(5_000, undefined, { ref: false })]);
  }

  async #run(name: string, handler: Handler, event: object): Promise<string> {
    try {
      const report = await handler(event, createLambdaContext(name, RUN_MS));
      return JSON.stringify(report);
    } catch (error) {
      const cause = error instanceof Error ? error.cause : undefined;
      return `${error}${cause === undefined ? '' : ` (${cause})`}`;
    }
  }
}
