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
    server.once('error', () => resolve(false));
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
  if (preferred !== undefined && !handedOut.has(preferred) && (await free(preferred))) {
    handedOut.add(preferred);
    return preferred;
  }
  const count = highest - lowest + 1;
  const first = Math.floor(random() * count);
  for (let i = 0; i < count; i += 1) {
    const port = lowest + ((first + i) % count);
    if (handedOut.has(port)) continue;
    handedOut.add(port);
    if (await free(port)) return port;
    handedOut.delete(port);
  }
  throw new Failure(`No port between ${lowest} and ${highest} is free on 127.0.0.1.`);
};

/** Makes a port available to {@link pickPort} again, once its server is gone. */
export const releasePort = (port: number): void => {
  handedOut.delete(port);
};
