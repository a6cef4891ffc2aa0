import { existsSync } from 'node:fs';
import { Failure, messageOf } from './failure.ts';
import { findProgram, isRoot, run } from './processes.ts';
import type { Report, ServiceName } from './types.ts';

interface Package {
  name: string;
  /** Units that the package would start, now and at every boot. */
  units: readonly string[];
}

const packages = {
  mysql: { name: 'mariadb-server', units: ['mariadb.service'] },
  redis: { name: 'redis-server', units: ['redis-server.service'] },
  rabbitmq: { name: 'rabbitmq-server', units: ['rabbitmq-server.service', 'epmd.service', 'epmd.socket'] },
} as const satisfies Partial<Record<ServiceName, Package>>;

export type Installable = keyof typeof packages;

const environment = {
  DEBIAN_FRONTEND: 'noninteractive',
  // invoke-rc.d takes this for single-user mode, in which no package starts its service.
  RUNLEVEL: '1',
};

/** @throws Failure that lists the packages to install, if they cannot be installed here */
const findAptGet = (missing: readonly Installable[]): string => {
  const aptGet = findProgram('apt-get');
  if (aptGet !== undefined && isRoot) return aptGet;
  const names = missing.map((name) => packages[name].name).join(' ');
  throw new Failure(
    [
      `Not installed: ${missing.join(', ')}.`,
      aptGet === undefined
        ? 'Install MariaDB or MySQL, Redis, and RabbitMQ with what your system has for it'
        : `Install them: sudo apt-get install --no-install-recommends ${names}`,
      'or start Docker, or give the URLs of servers in MYSQL_URL, REDIS_URL, RABBITMQ_URL.',
    ].join('\n  '),
  );
};

/**
 * Masks the units that systemd does not have yet, so that their packages do not start them.
 * @returns a function that unmasks and disables them
 */
const maskNewUnits = async (units: readonly string[]): Promise<() => Promise<void>> => {
  const systemctl = existsSync('/run/systemd/system') ? findProgram('systemctl') : undefined;
  if (systemctl === undefined) return async () => undefined;
  const succeeds = (...args: string[]): Promise<boolean> =>
    run({ file: systemctl, args, cwd: '/' }).then(
      () => true,
      () => false,
    );
  const added: string[] = [];
  for (const unit of units) if (!(await succeeds('cat', unit))) added.push(unit);
  if (added.length === 0) return async () => undefined;
  await succeeds('mask', '--runtime', ...added);
  return async () => {
    await succeeds('unmask', '--runtime', ...added);
    await succeeds('disable', ...added);
  };
};

/**
 * Installs servers from the system's packages without starting them as system services. With systemd, their units are
 * masked during the installation and disabled afterwards. Existing units stay as they are.
 * @throws Failure that lists the packages to install, if they cannot be installed here
 */
export const installPrograms = async (
  missing: readonly Installable[],
  report: Report,
  signal: AbortSignal,
): Promise<void> => {
  const aptGet = findAptGet(missing);
  const wanted: readonly Package[] = missing.map((name) => packages[name]);
  const names = wanted.map(({ name }) => name);
  const apt = (...args: string[]) =>
    run(
      {
        file: aptGet,
        args: ['-y', '-o', 'DPkg::Lock::Timeout=180', ...args],
        env: { ...environment, ...proxies() },
        cwd: '/',
      },
      { signal },
    );
  const install = () => apt('install', '--no-install-recommends', ...names);
  const unmask = await maskNewUnits(wanted.flatMap(({ units }) => units));
  const step = report.step(`installing ${names.join(', ')} (apt-get)`);
  try {
    try {
      await install();
    } catch {
      signal.throwIfAborted();
      // The usual reason is an empty or outdated package list.
      step.detail('apt-get update');
      await apt('update');
      step.detail('');
      await install();
    }
    step.done(`installed ${names.join(', ')}`);
  } catch (error) {
    step.failed();
    throw new Failure(
      `${names.join(', ')} could not be installed: ${messageOf(error)}\n  Install them, or start Docker, or give MYSQL_URL, REDIS_URL, RABBITMQ_URL.`,
    );
  } finally {
    await unmask();
  }
};

const proxies = (): Record<string, string> =>
  Object.fromEntries(
    ['http_proxy', 'https_proxy', 'no_proxy'].flatMap((name) => {
      const value = process.env[name];
      return value === undefined ? [] : [[name, value]];
    }),
  );
