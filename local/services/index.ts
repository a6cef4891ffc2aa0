import { composeServices, findDocker } from './docker.ts';
import { Failure, messageOf, Unavailable } from './failure.ts';
import { findAbandonedStacks, StackFolder } from './folders.ts';
import { givenService } from './given.ts';
import { type Installable, installPrograms } from './install.ts';
import { findMysql } from './mysql.ts';
import { openSearchSource } from './opensearch-distribution.ts';
import { checkUrl } from './probes.ts';
import { ProcessRecord } from './processes.ts';
import type { Program, Source } from './program.ts';
import { findRabbitmq } from './rabbitmq.ts';
import { findRedis } from './redis.ts';
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

export { Failure, messageOf } from './failure.ts';
export { ownerOf, secretOf, urlsOf } from './folders.ts';
export { isFree, pickPort, releasePort } from './ports.ts';
export { asOwned } from './processes.ts';
export { silentReport, terminalReport } from './report.ts';
export type { Report, RunningService, ServiceName, Stack, Urls } from './types.ts';

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

const readWay = (environment: NodeJS.ProcessEnv): (typeof ways)[number] | undefined => {
  const text = environment.LOCAL_SERVICES;
  if (text === undefined || text === '') return undefined;
  const way = ways.find((one) => one === text);
  if (way === undefined)
    throw new Failure(`LOCAL_SERVICES is "${text}". Expected ${ways.join(' or ')}, or nothing.`);
  return way;
};

const finders: Record<Installable, () => Promise<Program | undefined>> = {
  mysql: findMysql,
  redis: findRedis,
  rabbitmq: findRabbitmq,
};
const isInstallable = (name: ServiceName): name is Installable => name in finders;

/** Finds programs and installs all missing ones in one step. */
const installedSources = (names: readonly Installable[], report: Report, signal: AbortSignal): Source[] => {
  const found = new Map(names.map((name) => [name, finders[name]()]));
  const installed = Promise.all(found.values()).then(async (programs) => {
    const missing = names.filter((_, index) => programs[index] === undefined);
    if (missing.length > 0) await installPrograms(missing, report, signal);
  });
  // The sources below await it. Without this handler, a failure before the first await would end the process.
  installed.catch(() => undefined);
  return names.map((name) => ({
    name,
    find: async () => {
      const program = await found.get(name);
      if (program !== undefined) return program;
      await installed;
      const now = await finders[name]();
      if (now === undefined)
        throw new Failure(
          `${name} was installed, but its program is not on the PATH or among the system's servers.`,
        );
      return now;
    },
  }));
};

/** One error for all faults, so that they can be fixed in one go. */
const joined = (errors: readonly unknown[]): Failure =>
  new Failure([...new Set(errors.map(messageOf))].join('\n'));

/**
 * Starts one stack. A service with a URL in the environment is used as it is. The others run in Docker Compose if an
 * engine answers, else as child processes. Settles when every service answers through its own protocol.
 * @throws Failure if a service does not start; all started services are stopped by then
 */
export const startServices = async (options: StartOptions): Promise<Stack> => {
  const { environment, report } = options;
  const names = options.only ?? serviceNames;
  const way = readWay(environment);
  const given = names.filter((name) => Boolean(environment[urlVariables[name]]));
  const malformed: unknown[] = [];
  for (const name of given) {
    try {
      checkUrl(name, environment[urlVariables[name]] ?? '');
    } catch (error) {
      malformed.push(error);
    }
  }
  if (malformed.length > 0) throw joined(malformed);

  const folder = new StackFolder(options.stack);
  const record = new ProcessRecord(folder.path);
  const processes: ServerProcess[] = [];
  let down: ((options: { volumes: boolean }) => Promise<void>) | undefined;
  const services: Record<ServiceName, RunningService | undefined> = {
    mysql: undefined,
    redis: undefined,
    rabbitmq: undefined,
    opensearch: undefined,
  };
  // The first failure cancels the wait for the others.
  const failed = new AbortController();
  const signal =
    options.signal === undefined ? failed.signal : AbortSignal.any([failed.signal, options.signal]);
  let stopping: Promise<void> | undefined;
  const stop = () => {
    stopping ??= (async () => {
      failed.abort(new Failure('the stack is stopped'));
      await Promise.allSettled([
        ...processes.map((server) => server.stop()),
        down?.({ volumes: options.fresh === true }),
      ]);
      for (const server of processes) server.releasePorts();
      if (options.fresh === true) folder.remove();
      folder.unlock();
    })();
    return stopping;
  };

  const errors: unknown[] = [];
  const attempt = async (start: () => Promise<void>) => {
    try {
      await start();
    } catch (error) {
      if (!signal.aborted) errors.push(error);
      failed.abort(new Failure('another service did not come up'));
    }
  };

  const useGiven = async (name: ServiceName) => {
    services[name] = await givenService(name, environment[urlVariables[name]] ?? '');
  };
  const inBackground: Promise<void>[] = [];
  const startProcess = async (source: Source): Promise<void> => {
    let program: Program;
    try {
      program = await source.find(report, signal);
    } catch (error) {
      if (!(error instanceof Unavailable)) throw error;
      report.say(`  ! no search: ${error.message}`);
      return;
    }
    const server = await ServerProcess.create(program, folder, record);
    processes.push(server);
    services[source.name] = server;
    const step = report.step(`starting ${source.name}`);
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
    inBackground.push(started);
  };

  try {
    const left = await record.endAll();
    if (left.length > 0) report.say(`  ended leftovers of a killed run: ${left.join(', ')}`);
    const own = names.filter((name) => !given.includes(name));
    const docker = own.length === 0 || way === 'process' ? undefined : await findDocker();
    if (way === 'docker' && own.length > 0 && docker === undefined) {
      throw new Failure(
        'LOCAL_SERVICES is docker, and no Docker engine with Compose answers. Start it, or unset the variable.',
      );
    }
    const startOwn =
      docker === undefined
        ? [
            ...(own.includes('opensearch') ? [openSearchSource(environment)] : []),
            ...installedSources(own.filter(isInstallable), report, signal),
          ].map((source) => attempt(() => startProcess(source)))
        : [
            attempt(async () => {
              const compose = await composeServices(docker, own, options.stack, folder, report, signal);
              down = compose.down;
              for (const service of compose.services) services[service.name] = service;
            }),
          ];
    await Promise.all([...startOwn, ...given.map((name) => attempt(() => useGiven(name)))]);
    options.signal?.throwIfAborted();
    if (errors.length > 0) throw joined(errors);
  } catch (error) {
    await stop();
    throw error;
  }

  const url = (name: ServiceName) => services[name]?.url;
  const urls: Urls = {
    MYSQL_URL: url('mysql') ?? '',
    REDIS_URL: url('redis') ?? '',
    RABBITMQ_URL: url('rabbitmq') ?? '',
    ...(services.opensearch === undefined ? {} : { OPENSEARCH_URL: services.opensearch.url }),
  };
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
    folder.remove();
  }
};
