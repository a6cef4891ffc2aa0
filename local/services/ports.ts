import { createServer } from 'node:net';
import { Failure } from './failure.ts';

/** Above 32767 any outgoing connection of the machine may hold a port when a server wants it. */
const lowest = 20_000;
const highest = 31_999;

/** Given out by this process and perhaps not bound yet. */
const handedOut = new Set<number>();

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
 * one from 20000–31999. The search begins at random, so that two starts at the same moment hardly meet.
 * @throws Failure when none is free
 */
export const pickPort = async (
  preferred: number | undefined,
  free: (port: number) => Promise<boolean> = isFree,
  random: () => number = Math.random,
): Promise<number> => {
  const take = async (port: number): Promise<boolean> => {
    if (handedOut.has(port)) return false;
    handedOut.add(port);
    if (await free(port)) return true;
    handedOut.delete(port);
    return false;
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
};
