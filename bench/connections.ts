import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type { Stack } from '../local/services/index.ts';

const ESTABLISHED = '01';

/** Number of established TCP connections to each server, from all processes of this machine. Reads Linux' `/proc`. */
export const countConnections = (stack: Stack): Record<string, number> => {
  const remotePorts = ['tcp', 'tcp6'].flatMap((name) =>
    readFileSync(`/proc/net/${name}`, 'utf8')
      .split('\n')
      .slice(1)
      .flatMap((line) => {
        const [, , remote = '', state] = line.trim().split(/\s+/);
        return state === ESTABLISHED ? [Number.parseInt(remote.split(':')[1] ?? '', 16)] : [];
      }),
  );
  return Object.fromEntries(
    Object.values(stack.services).flatMap((service) => {
      if (service === undefined) return [];
      const port = Number(new URL(service.url).port);
      return [[service.name, remotePorts.filter((remote) => remote === port).length]];
    }),
  );
};

/** Resident memory of a process and all its descendants, in MB, without this stack's servers. */
export const residentMb = (rootPid: number, stack: Stack): number => {
  const servers = new Set(Object.values(stack.services).map((service) => service?.pid));
  const rows = execFileSync('ps', ['-eo', 'pid=,ppid=,rss='], { encoding: 'utf8' })
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number));
  const sum = (pid: number): number =>
    servers.has(pid)
      ? 0
      : rows.reduce(
          (total, [own, parent, rssKb = 0]) =>
            own === pid
              ? total + rssKb / 1_024
              : parent === pid && own !== undefined
                ? total + sum(own)
                : total,
          0,
        );
  return sum(rootPid);
};
