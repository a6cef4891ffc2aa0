import { type Broker, createBroker, type Log, ownerName } from './broker.ts';
import { createEventSourceMapping, type EventSourceMapping, type Invoke } from './event-source-mapping.ts';
import { createLocalFunction, type LocalFunction } from './local-function.ts';
import { findUsedPorts } from './ports.ts';
import { readSection } from './section.ts';
import { isServerlessOffline, type Serverless } from './serverless.ts';
import { findBrokenRelease } from './serverless-offline-release.ts';
import { type PlacedMapping, readMappings } from './settings.ts';

/** The longest wait for a running batch after Ctrl-C, in milliseconds. */
const STOP_GRACE_MS = 10_000;

/** The options that serverless-offline's runners read, with its own defaults. */
const LAMBDA_DEFAULTS = {
  dockerHost: 'localhost',
  dockerHostServicePath: null,
  dockerNetwork: null,
  dockerReadOnly: true,
  host: 'localhost',
  layersDir: null,
  localLayers: {},
  terminateIdleLambdaTime: 60,
};

/** The plugin: consumes the queues of `rabbitmq` events while serverless-offline runs. */
export class ServerlessOfflineRabbitmq {
  readonly #serverless: Serverless;
  readonly #cliOptions: Record<string, unknown>;
  readonly #log: Log;
  /** By URL and virtual host. */
  readonly #brokers = new Map<string, Broker>();
  readonly #mappings: EventSourceMapping[] = [];
  readonly #functions: LocalFunction[] = [];

  readonly hooks = {
    'before:offline:start': () => this.#checkOrder(),
    'before:offline:start:init': () => this.#checkOrder(),
    // Bundlers run in `before:offline:start`, so the code exists now.
    'offline:start': () => this.#start(),
    'offline:start:init': () => this.#start(),
    'before:offline:start:end': () => this.#stop(),
    'offline:functionsUpdated:cleanup': () => {
      for (const fn of this.#functions) fn.reload();
    },
  };

  constructor(serverless: Serverless, cliOptions: Record<string, unknown>, { log }: { log: Log }) {
    this.#serverless = serverless;
    this.#cliOptions = cliOptions;
    this.#log = log;
  }

  /** `offline:start` of serverless-offline returns only at the end, so this plugin must come before it. */
  #checkOrder(): void {
    const { plugins } = this.#serverless.pluginManager;
    const offline = plugins.findIndex(isServerlessOffline);
    if (offline !== -1 && offline < plugins.indexOf(this)) {
      throw this.#refusal(
        'serverless.yml: list serverless-offline-rabbitmq before serverless-offline under "plugins".',
      );
    }
  }

  async #start(): Promise<void> {
    const { service } = this.#serverless;
    const mappings = this.#readMappings();
    if (mappings === undefined) return;
    const functions = service.getAllFunctions().map((key) => service.getFunction(key));
    const usedPorts = await findUsedPorts(this.#lambdaOptions(), functions);
    if (usedPorts.length > 0) throw this.#refusal(usedPorts.join('\n'));
    for (const mapping of mappings) {
      const fn = await createLocalFunction({
        serverless: this.#serverless,
        options: this.#lambdaOptions(),
        functionKey: mapping.settings.functionKey,
        log: this.#log,
      });
      this.#functions.push(fn);
      this.#mappings.push(this.#createMapping(mapping, service.service ?? 'serverless', fn.invoke));
    }
    for (const mapping of this.#mappings) mapping.start();
    this.#stopBeforeExit();
  }

  /** Undefined if no event can or should be consumed; this is logged once. */
  #readMappings(): PlacedMapping[] | undefined {
    const { service } = this.#serverless;
    const functions = Object.fromEntries(
      service.getAllFunctions().map((key) => [key, service.getFunction(key)]),
    );
    try {
      const options = readSection(service.custom?.['serverless-offline-rabbitmq']);
      if ('off' in options) {
        this.#log.warning(`RabbitMQ events are off: ${options.off}`);
        return undefined;
      }
      const { mappings, warnings } = readMappings({
        functions,
        options,
        region: service.provider.region,
        timeout: service.provider.timeout,
        owner: ownerName(service.service ?? 'serverless'),
      });
      for (const warning of [...warnings, ...findBrokenRelease()]) this.#log.warning(warning);
      return mappings;
    } catch (error) {
      if (error instanceof RangeError) throw this.#refusal(`serverless.yml: ${error.message}`);
      throw error;
    }
  }

  #createMapping({ settings, url }: PlacedMapping, service: string, invoke: Invoke): EventSourceMapping {
    const { functionKey, queue, virtualHost, batchSize, batchingWindowMs } = settings;
    this.#log.notice(
      `RabbitMQ event source: ${queue}::${virtualHost} → ${functionKey} (batches of ${batchSize}, ${batchingWindowMs} ms)`,
    );
    const key = JSON.stringify([url.href, virtualHost]);
    let broker = this.#brokers.get(key);
    if (broker === undefined) {
      const connectionName = `serverless-offline-rabbitmq ${ownerName(service)}`;
      broker = createBroker({ url, virtualHost, connectionName, log: this.#log });
      this.#brokers.set(key, broker);
    }
    return createEventSourceMapping(settings, broker, invoke, this.#log);
  }

  /** The options serverless-offline itself would use: its defaults, `serverless.yml`, the command line. */
  #lambdaOptions(): Record<string, unknown> {
    const custom = this.#serverless.service.custom?.['serverless-offline'];
    return { ...LAMBDA_DEFAULTS, ...(typeof custom === 'object' ? custom : {}), ...this.#cliOptions };
  }

  /**
   * Under `sls offline`, serverless-offline ends the process itself on a signal, without a hook before it. So its `end` is
   * wrapped. (`sls offline start` has a hook.)
   */
  #stopBeforeExit(): void {
    const offline = this.#serverless.pluginManager.plugins.find(isServerlessOffline);
    if (offline === undefined) return;
    const end = offline.end.bind(offline);
    offline.end = async (skipExit) => {
      await this.#stop();
      await end(skipExit);
    };
  }

  async #stop(): Promise<void> {
    await Promise.all(this.#mappings.map((mapping) => mapping.stop(STOP_GRACE_MS)));
    await Promise.all([...this.#brokers.values()].map((broker) => broker.close()));
    await Promise.all(this.#functions.map((fn) => fn.end()));
  }

  #refusal(reason: string): Error {
    return new this.#serverless.classes.Error(reason, 'RABBITMQ_EVENT_SOURCE');
  }
}
