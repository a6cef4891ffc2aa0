import { execFileSync } from 'node:child_process';
import { resolve } from 'node:path';
import { Failure } from './failure.ts';
import { checkoutId, projectName, type StackFolder } from './folders.ts';
import { pickPort } from './ports.ts';
import { probe } from './probes.ts';
import { findProgram, run } from './processes.ts';
import type { Report, RunningService, ServiceName } from './types.ts';

const checkout = resolve(import.meta.dirname, '../..');

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

/**
 * Starts services with `docker compose up --wait`, as a Compose project of this stack.
 * @returns the services, and a function that stops all of them
 */
export const composeServices = async (
  docker: string,
  names: readonly ServiceName[],
  stackName: string,
  stack: StackFolder,
  report: Report,
  signal: AbortSignal,
): Promise<{ services: RunningService[]; down: (options: { volumes: boolean }) => Promise<void> }> => {
  const project = `${projectName}-${checkoutId}-${stackName}`;
  const ports = new Map<ServiceName, number>();
  for (const name of names) {
    const port = await pickPort(stack.port(name));
    stack.rememberPort(name, port);
    ports.set(name, port);
  }
  const command = (...args: string[]) => ({
    file: docker,
    args: ['compose', '--project-name', project, ...args],
    env: {
      ...dockerEnvironment(),
      MYSQL_PASSWORD: stack.secret('mysql'),
      REDIS_PASSWORD: stack.secret('redis'),
      RABBITMQ_PASSWORD: stack.secret('rabbitmq'),
      ...Object.fromEntries([...ports].map(([name, port]) => [`${name.toUpperCase()}_PORT`, `${port}`])),
    },
    cwd: checkout,
  });
  const compose = (...args: string[]) => run(command(...args));
  const down = async ({ volumes }: { volumes: boolean }) => {
    await compose('down', '--timeout', '20', ...(volumes ? ['--volumes'] : []));
  };

  const step = report.step(`docker compose up (${names.join(', ')}; the first time downloads images)`);
  try {
    await run(command('up', '--detach', '--wait', ...names), { signal });
    step.done(`docker compose up (${names.join(', ')})`);
  } catch (error) {
    step.failed();
    const logs = await compose('logs', '--tail', '15').catch(() => '');
    await down({ volumes: false }).catch(() => undefined);
    signal.throwIfAborted();
    throw new Failure(
      `${error instanceof Error ? error.message : error}\n${logs}\n  Mend it, or set LOCAL_SERVICES=process to do without Docker.`,
    );
  }

  const service = async (name: ServiceName, port: number): Promise<RunningService> => {
    const url = urlOf[name](port, stack);
    /** Synchronous, because `kill` and `pause` of a child process are. */
    const now = (...args: string[]) => {
      const { file, args: all, env, cwd } = command(...args, name);
      execFileSync(file, all, { cwd, env: { ...process.env, ...env }, stdio: 'ignore' });
    };
    return {
      name,
      kind: 'docker',
      version: await probe(name, url),
      where: `127.0.0.1:${port}, data in the volume ${project}_${name}`,
      url,
      kill: (signalName) => now('kill', '--signal', signalName),
      pause: () => now('pause'),
      resume: () => now('unpause'),
      start: async () => void (await compose('up', '--detach', '--wait', name)),
      stop: async () => void (await compose('stop', name)),
      wipe: async () => {
        await compose('rm', '--force', name);
        await run({
          file: docker,
          args: ['volume', 'rm', `${project}_${name}`],
          env: dockerEnvironment(),
          cwd: '/',
        });
      },
    };
  };
  return { services: await Promise.all([...ports].map(([name, port]) => service(name, port))), down };
};
