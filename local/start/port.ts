import { Failure, isFree, ownerOf } from '../services/index.ts';

const DEFAULT_PORT = '3000';

/** @throws Failure when the port is taken. @param remedy a command that chooses another one */
const expectFree = async (port: number, remedy: string): Promise<void> => {
  // One after the other: two tests of the same port would find each other.
  for (const host of ['127.0.0.1', '0.0.0.0', '::1']) {
    if (await isFree(port, host)) continue;
    throw new Failure(
      `Port ${port} is taken by another program. End that, or choose another port: ${remedy} npm start`,
    );
  }
};

/** The ports that a run of `npm start` offers. */
export type Ports = { http: number; websocket: number };

/**
 * Gets the ports of the API and of its WebSocket from the variables PORT and WEBSOCKET_PORT. The latter is the next one by
 * default.
 * @throws Failure when the stack already runs, or when a port is taken
 */
export const getPorts = async (stackName: string): Promise<Ports> => {
  const http = Number(process.env.PORT || DEFAULT_PORT);
  const websocket = Number(process.env.WEBSOCKET_PORT || http + 1);
  const owner = ownerOf(stackName);
  if (owner !== undefined) {
    throw new Failure(
      `It is already running in this checkout, as process ${owner}. Use that one, or end it first (Ctrl-C in its terminal, or kill ${owner}).`,
    );
  }
  if (http === websocket) throw new Failure('PORT and WEBSOCKET_PORT must differ.');
  await expectFree(http, `PORT=${http + 10}`);
  await expectFree(websocket, `WEBSOCKET_PORT=${websocket + 10}`);
  return { http, websocket };
};
