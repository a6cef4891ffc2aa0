import { Failure } from './failure.ts';
import { type Installable, installPrograms } from './install.ts';
import { findMysql } from './mysql.ts';
import type { Program, Source } from './program.ts';
import { findRabbitmq } from './rabbitmq.ts';
import { findRedis } from './redis.ts';
import type { Report, ServiceName } from './types.ts';

const finders: Record<Installable, () => Promise<Program | undefined>> = {
  mysql: findMysql,
  redis: findRedis,
  rabbitmq: findRabbitmq,
};
export const isInstallable = (name: ServiceName): name is Installable => name in finders;

/** Finds programs and installs all missing ones in one step. */
export const installedSources = (
  names: readonly Installable[],
  report: Report,
  signal: AbortSignal,
): Source[] => {
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
