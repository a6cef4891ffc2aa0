import { composeServices, findDocker, removeComposeProject } from './docker.ts';
import { Failure, messageOf, Unavailable } from './failure.ts';
import { findAbandonedStacks, StackFolder } from './folders.ts';
import { givenService } from './given.ts';
import { installedSources, isInstallable } from './installed-programs.ts';
import { openSearchSource } from './opensearch-distribution.ts';
import { checkUrl } from './probes.ts';
import { ProcessRecord } from './processes.ts';
import type { Program, Source } from './program.ts';
import { ServerProcess } from './server-process.ts';
import {
  type Report,
  type RunningService,
  type ServiceName,
  type Stack,
  serviceNames,
  type Urls,
  urlVariables,
} from './types.ts';

export interface StartOptions {
  /** Name of the stack and of its data folder: `start`, `test-…`. One process owns it at a time. */
  stack: string;
  /** Source of the URLs of given servers, `LOCAL_SERVICES`, and the folders of Java and caches. */
  environment: NodeJS.ProcessEnv;
  report: Report;
  /** Data are temporary: {@link Stack.stop} removes them. */
  fresh?: boolean;
  /** Services to start in the background. Their URLs are known at once; {@link Stack.ready} settles when they answer. */
  background?: readonly ServiceName[];
  /** All four if absent. */
  only?: readonly ServiceName[];
  /** Cancels the start and stops all started servers. */
  signal?: AbortSignal;
}

/** How services without a URL run: Docker if an engine answers, else as processes. LOCAL_SERVICES allows one way only. */
const ways = ['docker', 'process'] as const;
type Way = (typeof ways)[number];

const readWay = (environment: NodeJS.ProcessEnv): Way | undefined => {
  const text = environment.LOCAL_SERVICES;
  if (text === undefined || text === '') return undefined;
  const way = ways.find((one) => one === text);
  if (way === undefined)
    throw new Failure(`LOCAL_SERVICES is "${text}". Expected ${ways.join(' or ')}, or nothing.`);
  return way;
};

/** One error for all faults, so that they can be fixed in one go. */
const joined = (errors: readonly unknown[]): Failure =>
  new Failure([...new Set(errors.map(messageOf))].join('\n'));

/** One start: its servers so far, and its failures. */
type Startup = {
  options: StartOptions;
  way: Way | undefined;
  folder: StackFolder;
  record: ProcessRecord;
  services: Record<ServiceName, RunningService | undefined>;
  processes: ServerProcess[];
  /** Starts that the caller does not wait for. */
  inBackground: Promise<void>[];
  /** Stops the containers. */
  down: ((options: { volumes: boolean }) => Promise<void>) | undefined;
  errors: unknown[];
  /** The first failure cancels the wait for the others. */
  failed: AbortController;
  signal: AbortSignal;
};

const createStartup = (options: StartOptions, way: Way | undefined): Startup => {
  const folder = new StackFolder(options.stack);
  const failed = new AbortController();
  return {
    options,
    way,
    folder,
    record: new ProcessRecord(folder.path),
    services: { mysql: undefined, redis: undefined, rabbitmq: undefined, opensearch: undefined },
    processes: [],
    inBackground: [],
    down: undefined,
    errors: [],
    failed,
    signal: options.signal === undefined ? failed.signal : AbortSignal.any([failed.signal, options.signal]),
  };
};

/** @throws Failure that names all malformed URLs */
const checkUrls = (names: readonly ServiceName[], environment: NodeJS.ProcessEnv): void => {
  const errors: unknown[] = [];
  for (const name of names) {
    try {
      checkUrl(name, environment[urlVariables[name]] ?? '');
    } catch (error) {
      errors.push(error);
    }
  }
  if (errors.length > 0) throw joined(errors);
};

/** Notes a failure instead of throwing it, so that all starts end before the caller reports. */
const attempt = async ({ signal, errors, failed }: Startup, start: () => Promise<void>): Promise<void> => {
  try {
    await start();
  } catch (error) {
    if (!signal.aborted) errors.push(error);
    failed.abort(new Failure('another service did not come up'));
  }
};

const startProcess = async (startup: Startup, source: Source): Promise<void> => {
  const { options, folder, record, signal } = startup;
  let program: Program;
  try {
    program = await source.find(options.report, signal);
  } catch (error) {
    if (!(error instanceof Unavailable)) throw error;
    options.report.say(`  ! no search: ${error.message}`);
    return;
  }
  const server = await ServerProcess.create(program, folder, record);
  startup.processes.push(server);
  startup.services[source.name] = server;
  const step = options.report.step(`starting ${source.name}`);
  const started = server.start(signal).then(
    () => step.done(`${server.version} at ${server.where}`),
    (error) => {
      step.failed();
      throw error;
    },
  );
  if (options.background?.includes(source.name) !== true) return started;
  // Callers of `ready` get the failure. Until then it must not end the process.
  started.catch(() => undefined);
  startup.inBackground.push(started);
};

const startContainers = async (
  startup: Startup,
  docker: string,
  names: readonly ServiceName[],
): Promise<void> => {
  const { options, folder, signal } = startup;
  const compose = await composeServices({
    docker,
    names,
    stackName: options.stack,
    stack: folder,
    fresh: options.fresh === true,
    report: options.report,
    signal,
  });
  startup.down = compose.down;
  for (const service of compose.services) startup.services[service.name] = service;
};

/** Starts the services that have no URL. @returns one promise for each start; none of them rejects */
const startOwn = async (startup: Startup, names: readonly ServiceName[]): Promise<Promise<void>[]> => {
  if (names.length === 0) return [];
  const { options, way, signal } = startup;
  const docker = way === 'process' ? undefined : await findDocker();
  if (docker !== undefined) return [attempt(startup, () => startContainers(startup, docker, names))];
  if (way === 'docker') {
    throw new Failure(
      'LOCAL_SERVICES is docker, and no Docker engine with Compose answers. Start it, or unset the variable.',
    );
  }
  const sources = [
    ...(names.includes('opensearch') ? [openSearchSource(options.environment)] : []),
    ...installedSources(names.filter(isInstallable), options.report, signal),
  ];
  return sources.map((source) => attempt(startup, () => startProcess(startup, source)));
};

const startAll = async (startup: Startup, names: readonly ServiceName[]): Promise<void> => {
  const { options, record, services, errors } = startup;
  const { environment, report } = options;
  const isGiven = (name: ServiceName) => Boolean(environment[urlVariables[name]]);
  const left = await record.endAll();
  if (left.length > 0) report.say(`  ended leftovers of a killed run: ${left.join(', ')}`);
  const own = await startOwn(
    startup,
    names.filter((name) => !isGiven(name)),
  );
  const given = names.filter(isGiven).map((name) =>
    attempt(startup, async () => {
      services[name] = await givenService(name, environment[urlVariables[name]] ?? '');
    }),
  );
  await Promise.all([...own, ...given]);
  options.signal?.throwIfAborted();
  if (errors.length > 0) throw joined(errors);
};

const stopAll = async ({ options, folder, processes, down, failed }: Startup): Promise<void> => {
  failed.abort(new Failure('the stack is stopped'));
  await Promise.allSettled([
    ...processes.map((server) => server.stop()),
    down?.({ volumes: options.fresh === true }),
  ]);
  for (const server of processes) server.releasePorts();
  if (options.fresh === true) folder.remove();
  folder.unlock();
};

const readUrls = ({ services }: Startup): Urls => ({
  MYSQL_URL: services.mysql?.url ?? '',
  REDIS_URL: services.redis?.url ?? '',
  RABBITMQ_URL: services.rabbitmq?.url ?? '',
  ...(services.opensearch === undefined ? {} : { OPENSEARCH_URL: services.opensearch.url }),
});

/**
 * Starts one stack. A service with a URL in the environment is used as it is. The others run in Docker Compose if an
 * engine answers, else as child processes. Settles when every service answers through its own protocol.
 * @throws Failure if a service does not start; all started services are stopped by then
 */
export const startServices = async (options: StartOptions): Promise<Stack> => {
  const names = options.only ?? serviceNames;
  const way = readWay(options.environment);
  checkUrls(
    names.filter((name) => Boolean(options.environment[urlVariables[name]])),
    options.environment,
  );
  const startup = createStartup(options, way);
  const { folder, record, services, inBackground } = startup;
  let stopping: Promise<void> | undefined;
  const stop = () => {
    stopping ??= stopAll(startup);
    return stopping;
  };
  try {
    await startAll(startup, names);
  } catch (error) {
    await stop();
    throw error;
  }
  const urls = readUrls(startup);
  folder.writeUrls(urls);
  const ready = Promise.all(inBackground).then(() => undefined);
  ready.catch(() => undefined);
  return {
    urls,
    services,
    ready,
    folder: folder.path,
    secret: (name) => folder.secret(name),
    adopt: (name, pid) => record.add(name, pid),
    announce: (api) => folder.writeApi(api),
    stop,
  };
};

/** Stops and removes the stacks with this prefix that dead runs left behind. */
export const removeAbandonedStacks = async (prefix: string): Promise<void> => {
  for (const name of findAbandonedStacks(prefix)) {
    let folder: StackFolder;
    try {
      folder = new StackFolder(name);
    } catch {
      // Another run removed it first.
      continue;
    }
    await new ProcessRecord(folder.path).endAll();
    // Without an engine the record stays, for a later run that has one.
    if (folder.usesCompose && !(await removeComposeProject(name))) folder.unlock();
    else folder.remove();
  }
};
