/**
 * A plugin for serverless-offline: the Amazon MQ event source for RabbitMQ, on a developer's machine.
 * See README.md beside this file.
 */
import { Broker, type Log } from './broker.ts';
import { EventSourceMapping, type Invoke } from './event-source-mapping.ts';
import {
  type FunctionDefinition,
  functionsWithFilters,
  type MappingSettings,
  readMappings,
} from './settings.ts';

/** The part of the framework's object that this plugin uses. */
interface Serverless {
  service: {
    custom?: Record<string, unknown>;
    provider: { region?: string };
    getAllFunctions(): string[];
    getFunction(key: string): FunctionDefinition;
  };
  pluginManager: { plugins: object[] };
}

/** How long a running batch may take to finish after Ctrl-C, in milliseconds. */
const STOP_GRACE_MS = 10_000;

/** What serverless-offline's runners read of its options, with its own defaults. */
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

export default class RabbitmqEventSource {
  readonly #serverless: Serverless;
  readonly #cliOptions: Record<string, unknown>;
  readonly #log: Log;
  readonly #brokers = new Map<string, Broker>();
  readonly #mappings: EventSourceMapping[] = [];
  readonly #functions: LocalFunction[] = [];

  readonly hooks = {
    'before:offline:start': () => this.#checkOrder(),
    'before:offline:start:init': () => this.#checkOrder(),
    // Bundlers work in `before:offline:start`: by now there is something to run.
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

  /** `offline:start` of serverless-offline only returns when all is over. */
  #checkOrder(): void {
    const { plugins } = this.#serverless.pluginManager;
    const offline = plugins.findIndex(isServerlessOffline);
    if (offline !== -1 && offline < plugins.indexOf(this)) {
      throw new Error(
        'serverless.yml: list the RabbitMQ event source before serverless-offline under "plugins".',
      );
    }
  }

  async #start(): Promise<void> {
    const { service } = this.#serverless;
    const functions = Object.fromEntries(
      service.getAllFunctions().map((key) => [key, service.getFunction(key)]),
    );
    const url = readUrl(service.custom?.rabbitmqEventSource);
    if (url === undefined) {
      this.#log.warning(
        'RabbitMQ events are off: custom.rabbitmqEventSource.url in serverless.yml is empty.',
      );
      return;
    }
    for (const key of functionsWithFilters(functions)) {
      this.#log.warning(
        `functions.${key}: filterPatterns are not emulated; the function gets every message.`,
      );
    }
    for (const settings of readMappings(functions, url, service.provider.region)) {
      const fn = await LocalFunction.create(this.#serverless, this.#lambdaOptions(), settings.functionKey);
      this.#functions.push(fn);
      this.#mappings.push(this.#createMapping(settings, url, fn.invoke));
    }
    for (const mapping of this.#mappings) mapping.start();
    this.#stopBeforeExit();
  }

  #createMapping(settings: MappingSettings, url: URL, invoke: Invoke): EventSourceMapping {
    const { functionKey, queue, virtualHost, batchSize, batchingWindowMs } = settings;
    this.#log.notice(
      `RabbitMQ event source: ${queue}::${virtualHost} → ${functionKey} (batches of ${batchSize}, ${batchingWindowMs} ms)`,
    );
    let broker = this.#brokers.get(virtualHost);
    if (broker === undefined) {
      broker = new Broker(url, virtualHost, this.#log);
      this.#brokers.set(virtualHost, broker);
    }
    return new EventSourceMapping(settings, broker, invoke, this.#log);
  }

  /** The options serverless-offline itself would use: its defaults, `serverless.yml`, the command line. */
  #lambdaOptions(): Record<string, unknown> {
    const custom = this.#serverless.service.custom?.['serverless-offline'];
    return { ...LAMBDA_DEFAULTS, ...(typeof custom === 'object' ? custom : {}), ...this.#cliOptions };
  }

  /**
   * Under `sls offline`, serverless-offline ends the process itself on a signal, and no hook comes before: its `end`
   * is wrapped. (`sls offline start` has a hook.)
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
}

/**
 * One function in serverless-offline's Lambda machinery, in a pool of its own: a mapping has one execution environment,
 * and it can be renewed between two batches without ending anybody else's.
 */
class LocalFunction {
  readonly #key: string;
  readonly #lambda: import('serverless-offline/lambda').default;
  #stale = false;

  private constructor(key: string, lambda: import('serverless-offline/lambda').default) {
    this.#key = key;
    this.#lambda = lambda;
  }

  static async create(serverless: Serverless, options: Record<string, unknown>, functionKey: string) {
    const { default: Lambda } = await import('serverless-offline/lambda');
    const lambda = new Lambda(serverless, options);
    lambda.create([{ functionKey, functionDefinition: serverless.service.getFunction(functionKey) }]);
    return new LocalFunction(functionKey, lambda);
  }

  readonly invoke: Invoke = async (event) => {
    if (this.#stale) await this.#lambda.cleanup();
    this.#stale = false;
    const instance = this.#lambda.get(this.#key);
    instance.setEvent(event);
    await instance.runHandler();
  };

  /** The next batch runs the code as it is then. */
  reload(): void {
    this.#stale = true;
  }

  end(): Promise<void> {
    return this.#lambda.cleanup();
  }
}

interface ServerlessOffline {
  end(skipExit?: boolean): Promise<void>;
}

const isServerlessOffline = (plugin: object): plugin is ServerlessOffline =>
  plugin.constructor.name === 'ServerlessOffline' && 'end' in plugin;

/**
 * `custom.rabbitmqEventSource.url`; undefined when it is empty.
 *
 * @throws Error when it is missing or not an AMQP URL
 */
const readUrl = (custom: unknown): URL | undefined => {
  const url = typeof custom === 'object' && custom !== null && 'url' in custom ? custom.url : undefined;
  if (url === '' || url === null) return undefined;
  if (typeof url === 'string' && URL.canParse(url) && /^amqps?:$/.test(new URL(url).protocol))
    return new URL(url);
  throw new Error(
    'serverless.yml: custom.rabbitmqEventSource.url must be the URL of a RabbitMQ broker, ' +
      'such as amqp://localhost:5672. Leave it empty to run without RabbitMQ events.',
  );
};
