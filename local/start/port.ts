import { Failure, isFree, ownerOf } from '../services/index.ts';

const DEFAULT_PORT = '3000';

/**
 * Gets the API's port from the variable PORT.
 * @throws Failure when the stack already runs, or when the port is taken
 */
export const getPort = async (stackName: string): Promise<number> => {
  const port = Number(process.env.PORT || DEFAULT_PORT);
  const owner = ownerOf(stackName);
  if (owner !== undefined) {
    throw new Failure(
      `It is already running in this checkout, as process ${owner}. Use that one, or end it first (Ctrl-C in its terminal, or kill ${owner}).`,
    );
  }
  // One after the other: two tests of the same port would find each other.
  for (const host of ['127.0.0.1', '0.0.0.0', '::1']) {
    if (await isFree(port, host)) continue;
    throw new Failure(
      `Port ${port} is taken by another program. End that, or choose another port: PORT=${port + 10} npm start`,
    );
  }
  return port;
};
