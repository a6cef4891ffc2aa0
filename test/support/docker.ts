import { execFile } from 'node:child_process';
import { resolve } from 'node:path';
import { promisify } from 'node:util';
import { Redis } from 'ioredis';
import { pickPort, releasePort, type ServiceName } from '../../local/services/index.ts';

const checkout = resolve(import.meta.dirname, '../..');

type DockerOptions = {
  environment?: NodeJS.ProcessEnv;
  /** Its standard input; empty if absent. */
  input?: string;
};

/** Runs docker in the checkout. @returns its standard output, without the last line break */
export const docker = async (
  args: readonly string[],
  { environment = {}, input = '' }: DockerOptions = {},
): Promise<string> => {
  const running = promisify(execFile)('docker', args, {
    cwd: checkout,
    env: { ...process.env, ...environment },
    maxBuffer: 64 * 1024 * 1024,
  });
  running.child.stdin?.end(input);
  return (await running).stdout.trimEnd();
};

const linesOf = (text: string): string[] => text.split('\n').filter((line) => line !== '');

const labelled = (project: string) => ['--filter', `label=com.docker.compose.project=${project}`];

/** Everything that a Compose project has in the engine now. */
export const remainsOf = async (project: string) => {
  const [containers, networks, volumes] = await Promise.all([
    docker(['ps', '--all', '--quiet', ...labelled(project)]).then(linesOf),
    docker(['network', 'ls', '--quiet', ...labelled(project)]).then(linesOf),
    docker(['volume', 'ls', '--quiet', ...labelled(project)]).then((text) => linesOf(text).sort()),
  ]);
  return { containers, networks, volumes };
};

/** For each service of a project: the image of its container, and what its health check last said. */
export const containersOf = async (
  project: string,
): Promise<Record<string, { image: string; health: string }>> => {
  const { containers } = await remainsOf(project);
  const format =
    '{{index .Config.Labels "com.docker.compose.service"}} {{.Config.Image}} {{.State.Health.Status}}';
  const lines = linesOf(await docker(['inspect', '--format', format, ...containers]));
  return Object.fromEntries(
    lines.map((line) => {
      const [service = '', image = '', health = ''] = line.split(' ');
      return [service, { image, health }];
    }),
  );
};

/** The project of a stack, as the place of a service names it. */
export const projectIn = (text: string): string => {
  const project = /data in the volume (\S+)_(?:mysql|redis|rabbitmq|opensearch)\b/.exec(text)?.[1];
  if (project === undefined) throw new Error(`No Compose project is named in: ${text}`);
  return project;
};

/**
 * A Compose project by hand, as the comment at the top of docker-compose.yml describes: its commands, on claimed ports.
 * `release` returns the ports.
 */
export const projectByHand = async (project: string, names: readonly ServiceName[]) => {
  const ports = new Map<ServiceName, number>();
  for (const name of names) ports.set(name, await pickPort(undefined));
  const variables = Object.fromEntries(
    [...ports].map(([name, port]) => [`${name.toUpperCase()}_PORT`, `${port}`]),
  );
  return {
    port: (name: ServiceName): number => ports.get(name) ?? 0,
    compose: (...args: string[]) =>
      docker(['compose', '--project-name', project, ...args], { environment: variables }),
    release: () => {
      for (const port of ports.values()) releasePort(port);
    },
  };
};

/** Works on a connection of its own, and closes it. */
export const withRedis = async <Result>(
  url: string,
  work: (redis: Redis) => Promise<Result>,
): Promise<Result> => {
  const redis = new Redis(url);
  try {
    return await work(redis);
  } finally {
    redis.disconnect();
  }
};
