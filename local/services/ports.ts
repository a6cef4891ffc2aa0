import { chmodSync, linkSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Failure } from './failure.ts';
import { isAlive, type ProcessId, readJson, startTimeOf } from './processes.ts';

/** Above 32767 any outgoing connection of the machine may hold a port when a server wants it. */
const lowest = 20_000;
const highest = 31_999;

/**
 * A file for each port that a stack of this machine was given, naming the process that has it. A server takes seconds
 * until it listens, and one that is started again does not listen in between: meanwhile another stack would find the
 * port free.
 */
const claims = join(tmpdir(), 'chat-functions-ports');

const claim = (port: number): boolean => {
  const file = join(claims, `${port}`);
  const own = join(claims, `${port}.${process.pid}`);
  const owner: ProcessId = { name: 'ports', pid: process.pid, startTime: startTimeOf(process.pid) ?? '' };
  mkdirSync(claims, { recursive: true });
  try {
    // For every user of the machine; like /tmp itself.
    chmodSync(claims, 0o1777);
  } catch {
    // Another user's, who did it.
  }
  writeFileSync(own, JSON.stringify(owner));
  try {
    for (let attempt = 1; attempt <= 2; attempt += 1) {
      try {
        // A link is there with all its content, or not at all.
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
    // Another user's, and abandoned.
    return false;
  } finally {
    rmSync(own, { force: true });
  }
};

/** Claims of this process. */
const handedOut = new Set<number>();
process.once('exit', () => {
  for (const port of handedOut) unclaim(port);
});

const unclaim = (port: number): void => {
  const file = join(claims, `${port}`);
  if (readJson<ProcessId>(file)?.pid === process.pid) rmSync(file, { force: true });
};

/** Whether a server can listen on this TCP port of this host now. */
export const isFree = (port: number, host = '127.0.0.1'): Promise<boolean> =>
  new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error) =>
      // A machine without this address (IPv6 switched off) has nobody listening there.
      resolve('code' in error && (error.code === 'EADDRNOTAVAIL' || error.code === 'EAFNOSUPPORT')),
    );
    server.listen({ port, host, exclusive: true }, () => server.close(() => resolve(true)));
  });

/**
 * A port of 127.0.0.1 to start a server on: the preferred one (from an earlier start) while it is free, else
 * one from 20000–31999. It is kept from every other stack of this machine until {@link releasePort}, or until this
 * process has ended.
 * @throws Failure when none is free
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

/** Makes a port available to {@link pickPort} again, once its server is gone. */
export const releasePort = (port: number): void => {
  handedOut.delete(port);
  unclaim(port);
};
