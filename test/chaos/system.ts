import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { createKeys, type Keys } from '#lib/redis/script/keys.ts';
import { answersRequests } from '../../local/emulation/readiness.ts';
import { runFunction } from '../../local/emulation/run-function.ts';
import { type SlsOffline, startSlsOffline } from '../../local/emulation/sls-offline.ts';
import {
  Failure,
  pickPort,
  type Report,
  type RunningService,
  removeAbandonedStacks,
  type ServiceName,
  type Stack,
  serviceNames,
  startServices,
  urlVariables,
} from '../../local/services/index.ts';
import { rabbitmqctl } from '../support/rabbitmqctl.ts';
import { type RedisPair, startRedisCluster } from '../support/redis-nodes.ts';
import { Schedule } from './schedule.ts';
import { fairWeather, TcpProxy, type Weather } from './tcp-proxy.ts';

type FunctionEnvironment = Record<string, string>;

/** One server, or a cluster of a primary and its replica. */
export const redisKinds = ['single', 'clustered'] as const;
export type RedisKind = (typeof redisKinds)[number];

/** Where the data are now, and the names of the keys in Redis. */
export type Stores = {
  MYSQL_URL: string;
  /** Of the primary. */
  REDIS_URL: string;
  RABBITMQ_URL: string;
  /** Empty without OpenSearch. */
  OPENSEARCH_URL: string;
  keys: Keys;
};

type StartOptions = {
  /** Child processes if absent, or containers of docker-compose.yml. A clustered Redis is always two child processes. */
  way?: 'process' | 'docker';
  redis?: RedisKind;
  signal?: AbortSignal;
};

/** Starts the stack and a clustered Redis at the same time. If one fails, none remains. */
const startServers = async (
  report: Report,
  { way = 'process', redis = 'single', signal }: StartOptions,
): Promise<{ stack: Stack; cluster: RedisPair | undefined }> => {
  const environment: NodeJS.ProcessEnv = { ...process.env, LOCAL_SERVICES: way };
  for (const name of serviceNames) delete environment[urlVariables[name]];
  const started = await Promise.allSettled([
    startServices({
      stack: `chaos-${process.pid}`,
      environment,
      report,
      fresh: true,
      only: serviceNames.filter((name) => name !== 'redis' || redis === 'single'),
      ...(signal === undefined ? {} : { signal }),
    }),
    redis === 'single' ? undefined : startRedisCluster('chaos'),
  ]);
  const [stack, cluster] = started;
  if (stack.status === 'fulfilled' && cluster.status === 'fulfilled')
    return { stack: stack.value, cluster: cluster.value };
  await Promise.all(started.map((one) => (one.status === 'fulfilled' ? one.value?.stop() : undefined)));
  throw started.find((one) => one.status === 'rejected')?.reason;
};

/** The whole system under attack: its own servers, its functions, its schedule. All of it ends with {@link stop}. */
export class System {
  readonly apiUrl: string;
  readonly environment: FunctionEnvironment;
  readonly logFile: string;
  readonly schedule = new Schedule();
  readonly keys: Keys;
  readonly #stack: Stack;
  readonly #cluster: RedisPair | undefined;
  readonly #ports: { http: number; lambda: number };
  #api: SlsOffline | undefined;
  /** The proxies that a fault has put between the functions and the servers. */
  readonly #proxies = new Map<ServiceName, TcpProxy>();

  private constructor(stack: Stack, cluster: RedisPair | undefined, ports: { http: number; lambda: number }) {
    this.#stack = stack;
    this.#cluster = cluster;
    this.#ports = ports;
    this.apiUrl = `http://127.0.0.1:${ports.http}`;
    this.logFile = join(mkdtempSync(join(tmpdir(), 'chat-chaos-')), 'sls-offline.log');
    // The hash tag keeps all keys of a cluster in one slot.
    const keyPrefix = cluster === undefined ? '' : '{chat}:';
    this.keys = createKeys(keyPrefix);
    this.environment = {
      ...stack.urls,
      OPENSEARCH_URL: stack.urls.OPENSEARCH_URL ?? '',
      REDIS_URL: cluster?.servers[0].url ?? stack.urls.REDIS_URL,
      REDIS_KEY_PREFIX: keyPrefix,
      OPENSEARCH_INDEX_PREFIX: '',
      JWT_SECRET: stack.secret('jwt'),
      // A few users do the work of many, and sign in again in every round.
      LIMIT_SIGN_UP: '100000/3600',
      LIMIT_SIGN_IN: '100000/60',
      // All guests have one address, and try tokens that have ended.
      LIMIT_BAD_TOKENS: '1000000/60',
      LIMIT_READS: '1000000/60',
      LIMIT_WRITES: '1000000/60',
    };
  }

  /**
   * Starts servers with temporary data. It never uses a server that the environment names.
   * @throws Failure
   */
  static async start(report: Report, options: StartOptions = {}): Promise<System> {
    await removeAbandonedStacks('chaos-');
    await removeAbandonedStacks('test-chaos-');
    const { stack, cluster } = await startServers(report, options);
    const ports = { http: await pickPort(undefined), lambda: await pickPort(undefined) };
    const system = new System(stack, cluster, ports);
    try {
      await system.operate('operations/migrate');
      await system.startApi();
      await system.schedule.start(system.environment);
    } catch (error) {
      await system.stop();
      throw error;
    }
    return system;
  }

  /** @throws Failure if this machine has no such server (OpenSearch only) */
  service(name: ServiceName): RunningService {
    const service = this.#stack.services[name];
    if (service === undefined) throw new Failure(`There is no ${name} on this machine.`);
    return service;
  }

  has(name: ServiceName): boolean {
    return this.#stack.services[name] !== undefined;
  }

  /** @throws Failure if Redis is a single server */
  get cluster(): RedisPair {
    if (this.#cluster === undefined) throw new Failure('The Redis of this system is not clustered.');
    return this.#cluster;
  }

  /** Where the audit finds the data now. A failover changes it. */
  async stores(): Promise<Stores> {
    const { MYSQL_URL = '', REDIS_URL = '', RABBITMQ_URL = '', OPENSEARCH_URL = '' } = this.environment;
    const roles = await this.#cluster?.roles();
    return {
      MYSQL_URL,
      REDIS_URL: roles?.primary.url ?? REDIS_URL,
      RABBITMQ_URL,
      OPENSEARCH_URL,
      keys: this.keys,
    };
  }

  get api(): SlsOffline {
    if (this.#api === undefined) throw new Failure('The API does not run.');
    return this.#api;
  }

  async startApi(environment: FunctionEnvironment = this.environment): Promise<void> {
    this.#api = await startSlsOffline({
      environment: { ...process.env, ...environment },
      ports: this.#ports,
      logFile: this.logFile,
      readiness: answersRequests,
      onPid: (pid) => this.#stack.adopt('sls offline', pid),
    });
  }

  /** kill -9. Also removes the proxies between the functions and the servers. */
  async killApi(): Promise<void> {
    await this.#api?.kill();
    this.#api = undefined;
    await Promise.all([...this.#proxies.values()].map((proxy) => proxy.close()));
    this.#proxies.clear();
  }

  /** Restarts the functions behind proxies with this weather. */
  async startApiBehind(weather: Weather, random: () => number): Promise<void> {
    const environment = { ...this.environment };
    for (const name of serviceNames) {
      const url = environment[urlVariables[name]];
      if (!url) continue;
      const through = await TcpProxy.listen(url, await pickPort(undefined), random);
      environment[urlVariables[name]] = through.url;
      through.proxy.weather = weather;
      this.#proxies.set(name, through.proxy);
    }
    await this.startApi(environment);
  }

  clearWeather(): void {
    for (const proxy of this.#proxies.values()) proxy.weather = fairWeather;
  }

  /** Makes every connection of the functions to a server vanish. @returns how many there were */
  async swallow(name: ServiceName): Promise<number> {
    if (this.#proxies.size === 0) {
      await this.killApi();
      await this.startApiBehind(fairWeather, Math.random);
    }
    return this.#proxies.get(name)?.swallow() ?? 0;
  }

  /** Runs RabbitMQ's own command on the broker of this stack. */
  async rabbitmqctl(...args: string[]): Promise<void> {
    await rabbitmqctl(this.#stack, ...args);
  }

  /** Copies a folder with its owners and modes: a server's data, whose user is not ours. */
  async copyOwned(from: string, to: string): Promise<void> {
    await promisify(execFile)('cp', ['-a', from, to]);
  }

  /**
   * Runs an operation as an operator would, by its path below `functions/`.
   * @param aheadMs how far its clock is ahead
   */
  async operate(name: string, event: object = {}, { aheadMs = 0 } = {}): Promise<void> {
    const environment = { ...process.env, ...this.environment };
    const clock = `const now = Date.now; Date.now = () => now() + ${aheadMs};`;
    const ahead = { NODE_OPTIONS: `--import data:text/javascript,${encodeURIComponent(clock)}` };
    await runFunction({
      name,
      event,
      environment: aheadMs === 0 ? environment : { ...environment, ...ahead },
    });
  }

  async stop({ keepLog = false } = {}): Promise<void> {
    await this.schedule.stop();
    await this.killApi();
    await Promise.all([this.#stack.stop(), this.#cluster?.stop()]);
    if (!keepLog) rmSync(dirname(this.logFile), { recursive: true, force: true });
  }
}
