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
  const wanted: readonly Package[] = missing.map((name) => packages[name]);
  const names = wanted.map(({ name }) => name);
  const aptGet = findProgram('apt-get');
  if (aptGet === undefined || !isRoot) {
    throw new Failure(
      [
        `Not installed: ${missing.join(', ')}.`,
        ...(aptGet === undefined
          ? ['Install MariaDB or MySQL, Redis, and RabbitMQ with what your system has for it']
          : [`Install them: sudo apt-get install --no-install-recommends ${names.join(' ')}`]),
        'or start Docker, or give the URLs of servers in MYSQL_URL, REDIS_URL, RABBITMQ_URL.',
      ].join('\n  '),
    );
  }
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
  const systemctl = existsSync('/run/systemd/system') ? findProgram('systemctl') : undefined;
  const control = async (...args: string[]) => {
    if (systemctl !== undefined) await run({ file: systemctl, args, cwd: '/' }).catch(() => undefined);
  };
  const isKnown = async (unit: string) =>
    systemctl !== undefined &&
    (await run({ file: systemctl, args: ['cat', unit], cwd: '/' }).then(
      () => true,
      () => false,
    ));
  const units: string[] = [];
  for (const unit of wanted.flatMap((one) => one.units)) {
    if (systemctl !== undefined && !(await isKnown(unit))) units.push(unit);
  }

  const step = report.step(`installing ${names.join(', ')} (apt-get)`);
  try {
    if (units.length > 0) await control('mask', '--runtime', ...units);
    const install = () => apt('install', '--no-install-recommends', ...names);
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
    if (units.length > 0) {
      await control('unmask', '--runtime', ...units);
      await control('disable', ...units);
    }
  }
};

const proxies = (): Record<string, string> =>
  Object.fromEntries(
    ['http_proxy', 'https_proxy', 'no_proxy'].flatMap((name) => {
      const value = process.env[name];
      return value === undefined ? [] : [[name, value]];
    }),
  );
