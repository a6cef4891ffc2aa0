import { chmodSync, linkSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Failure } from './failure.ts';
import { isAlive, type ProcessId, readJson, startTimeOf } from './processes.ts';

/** Ports above 32767 may be in use by any outgoing connection of the machine. */
const lowest = 20_000;
const highest = 31_999;

/**
 * One file for each claimed port, with the process id of its stack. A starting or restarting server does not listen for
 * some seconds. Without the claim, another stack would find its port free.
 */
const claims = join(tmpdir(), 'chat-functions-ports');

const claim = (port: number): boolean => {
  const file = join(claims, `${port}`);
  const own = join(claims, `${port}.${process.pid}`);
  const owner: ProcessId = { name: 'ports', pid: process.pid, startTime: startTimeOf(process.pid) ?? '' };
  mkdirSync(claims, { recursive: true });
  try {
    // Every user of the machine may write, as in /tmp itself.
    chmodSync(claims, 0o1777);
  } catch {
    // Another user's folder, with these permissions already.
  }
  writeFileSync(own, JSON.stringify(owner));
  try {
    for (let attempt = 1; attempt <= 2; attempt += 1) {
      try {
        // A link appears with its whole content.
        linkSync(own, file);
        return true;
      } catch {
        const other = readJson<ProcessId>(file);
        if (other !== undefined && isAlive(other)) return false;
        rmSync(file, { force: true });
      }
    }
    return false;
  } catch {
    // Another user's abandoned claim.
    return false;
  } finally {
    rmSync(own, { force: true });
  }
};

/** Ports that this process has claimed. */
const handedOut = new Set<number>();
process.once('exit', () => {
  for (const port of handedOut) unclaim(port);
});

const unclaim = (port: number): void => {
  const file = join(claims, `${port}`);
  if (readJson<ProcessId>(file)?.pid === process.pid) rmSync(file, { force: true });
};

/** Whether a server can listen on this TCP port of this host at this moment. */
export const isFree = (port: number, host = '127.0.0.1'): Promise<boolean> =>
  new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error) =>
      // A machine without this address, for example without IPv6, has no listener there.
      resolve('code' in error && (error.code === 'EADDRNOTAVAIL' || error.code === 'EAFNOSUPPORT')),
    );
    server.listen({ port, host, exclusive: true }, () => server.close(() => resolve(true)));
  });

/**
 * Claims a port of 127.0.0.1: the preferred one of an earlier start if it is free, else one of 20000–31999. No other
 * stack of this machine gets it until {@link releasePort}, or until this process ends.
 * @throws Failure if no port is free
 */
export const pickPort = async (
  preferred: number | undefined,
  free: (port: number) => Promise<boolean> = isFree,
  random: () => number = Math.random,
): Promise<number> => {
  const take = async (port: number): Promise<boolean> => {
    if (!(await free(port)) || !claim(port)) return false;
    handedOut.add(port);
    return true;
  };
  if (preferred !== undefined && (await take(preferred))) return preferred;
  const count = highest - lowest + 1;
  const first = Math.floor(random() * count);
  for (let i = 0; i < count; i += 1) {
    const port = lowest + ((first + i) % count);
    if (await take(port)) return port;
  }
  throw new Failure(`No port between ${lowest} and ${highest} is free on 127.0.0.1.`);
};

/** Returns a port to {@link pickPort}. Call it when the port's server is gone. */
export const releasePort = (port: number): void => {
  handedOut.delete(port);
  unclaim(port);
};
