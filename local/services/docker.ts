import { execFileSync } from 'node:child_process';
import { resolve } from 'node:path';
import { Failure, messageOf } from './failure.ts';
import { getCheckoutId, projectName, type StackFolder } from './folders.ts';
import { pickPort, releasePort } from './ports.ts';
import { probe } from './probes.ts';
import { findProgram, run } from './processes.ts';
import type { Report, RunningService, ServiceName } from './types.ts';

const checkout = resolve(import.meta.dirname, '../..');

/** How long a container may take to end by itself, in seconds. */
const STOP_SECONDS = '20';

/** Finds the docker program, if its engine answers and it has Compose. */
export const findDocker = async (): Promise<string | undefined> => {
  const docker = findProgram('docker');
  if (docker === undefined) return undefined;
  const ask = (...args: string[]) =>
    run({ file: docker, args, env: dockerEnvironment(), cwd: '/' }, { timeoutMs: 5_000 });
  try {
    await Promise.all([ask('version', '--format', '{{.Server.Version}}'), ask('compose', 'version')]);
    return docker;
  } catch {
    return undefined;
  }
};

/** HOME and DOCKER_… select the engine, as for the user's own docker commands. */
const dockerEnvironment = (): Record<string, string> =>
  Object.fromEntries(
    Object.entries(process.env).flatMap(([name, value]) =>
      value !== undefined && (name === 'HOME' || name.startsWith('DOCKER_')) ? [[name, value]] : [],
    ),
  );

const urlOf: Record<ServiceName, (port: number, stack: StackFolder) => string> = {
  mysql: (port, stack) => `mysql://root:${stack.secret('mysql')}@127.0.0.1:${port}/chat`,
  redis: (port, stack) => `redis://:${stack.secret('redis')}@127.0.0.1:${port}`,
  rabbitmq: (port, stack) => `amqp://chat:${stack.secret('rabbitmq')}@127.0.0.1:${port}/chat`,
  opensearch: (port) => `http://127.0.0.1:${port}`,
};

/** The commands of one Compose project. `variables` are those that docker-compose.yml reads. */
const composeProject = (docker: string, name: string, variables: Record<string, string> = {}) => {
  const args = (given: readonly string[]) => ['compose', '--project-name', name, ...given];
  const env = { ...dockerEnvironment(), ...variables };
  const compose = (given: readonly string[], signal?: AbortSignal) =>
    run(
      { file: docker, args: args(given), env, cwd: checkout },
      { ...(signal === undefined ? {} : { signal }) },
    );
  return {
    name,
    compose,
    /** Synchronous, because `kill` and `pause` of a child process are. */
    composeSync: (given: readonly string[]) => {
      execFileSync(docker, args(given), { cwd: checkout, env: { ...process.env, ...env }, stdio: 'ignore' });
    },
    removeVolume: async (volume: string) => {
      await run({ file: docker, args: ['volume', 'rm', `${name}_${volume}`], env, cwd: '/' });
    },
    down: async ({ volumes }: { volumes: boolean }) => {
      await compose(['down', '--timeout', STOP_SECONDS, ...(volumes ? ['--volumes'] : [])]);
    },
  };
};
type ComposeProject = ReturnType<typeof composeProject>;

/** One service of a project that is up. */
const composeService = async (
  { name: project, compose, composeSync, removeVolume }: ComposeProject,
  name: ServiceName,
  port: number,
  url: string,
): Promise<RunningService> => ({
  name,
  kind: 'docker',
  version: await probe(name, url),
  where: `127.0.0.1:${port}, data in the volume ${project}_${name}`,
  url,
  kill: (signal) => composeSync(['kill', '--signal', signal, name]),
  pause: () => composeSync(['pause', name]),
  resume: () => composeSync(['unpause', name]),
  start: async () => void (await compose(['up', '--detach', '--wait', name])),
  stop: async () => void (await compose(['stop', '--timeout', STOP_SECONDS, name])),
  wipe: async () => {
    // Without --stop, Compose leaves a running container alone, and its volume cannot be removed.
    await compose(['rm', '--force', name]);
    await removeVolume(name);
  },
});

const projectOf = (stackName: string): string => `${projectName}-${getCheckoutId()}-${stackName}`;

export type ComposeOptions = {
  docker: string;
  names: readonly ServiceName[];
  stackName: string;
  stack: StackFolder;
  /** Whether a failed start removes the volumes. */
  fresh: boolean;
  report: Report;
  signal: AbortSignal;
};

/**
 * Starts services with `docker compose up --wait`, as a Compose project of this stack.
 * @returns the services, and a function that stops all of them
 * @throws Failure with the end of the containers' logs; the containers are gone by then
 */
export const composeServices = async ({
  docker,
  names,
  stackName,
  stack,
  fresh,
  report,
  signal,
}: ComposeOptions): Promise<{
  services: RunningService[];
  down: (options: { volumes: boolean }) => Promise<void>;
}> => {
  const ports = new Map<ServiceName, number>();
  for (const name of names) {
    const port = await pickPort(stack.port(name));
    stack.rememberPort(name, port);
    ports.set(name, port);
  }
  const project = composeProject(docker, projectOf(stackName), {
    MYSQL_PASSWORD: stack.secret('mysql'),
    REDIS_PASSWORD: stack.secret('redis'),
    RABBITMQ_PASSWORD: stack.secret('rabbitmq'),
    ...Object.fromEntries([...ports].map(([name, port]) => [`${name.toUpperCase()}_PORT`, `${port}`])),
  });
  const down = async (options: { volumes: boolean }) => {
    await project.down(options);
    for (const port of ports.values()) releasePort(port);
  };

  const step = report.step(`docker compose up (${names.join(', ')}; the first time downloads images)`);
  stack.rememberCompose();
  try {
    await project.compose(['up', '--detach', '--wait', ...names], signal);
    const services = [...ports].map(([name, port]) =>
      composeService(project, name, port, urlOf[name](port, stack)),
    );
    const running = await Promise.all(services);
    step.done(`docker compose up (${names.join(', ')})`);
    return { services: running, down };
  } catch (error) {
    step.failed();
    const logs = await project.compose(['logs', '--tail', '15']).catch(() => '');
    await down({ volumes: fresh }).catch(() => undefined);
    signal.throwIfAborted();
    throw new Failure(
      `${messageOf(error)}\n${logs}\n  Correct the cause, or set LOCAL_SERVICES=process to start the servers without Docker.`,
    );
  }
};

/**
 * Removes the containers and volumes of a stack whose owner was killed.
 * @returns whether they are gone; they are not if no engine answers
 */
export const removeComposeProject = async (stackName: string): Promise<boolean> => {
  const docker = await findDocker();
  if (docker === undefined) return false;
  await composeProject(docker, projectOf(stackName)).down({ volumes: true });
  return true;
};
