import { once } from 'node:events';
import { createServer } from 'node:net';
import { isRecord } from './section.ts';
import type { FunctionDefinition } from './serverless.ts';

/** The options of serverless-offline that name a port, with its defaults and the events that need the port. */
const PORTS = [
  { option: 'lambdaPort', port: 3002, events: undefined },
  { option: 'httpPort', port: 3000, events: ['http', 'httpApi'] },
  { option: 'websocketPort', port: 3001, events: ['websocket'] },
  { option: 'albPort', port: 3003, events: ['alb'] },
];

/**
 * Looks for ports that serverless-offline will listen on. It would find a used one only after this plugin began to
 * consume, and end the process with a batch under way.
 *
 * @param options those of serverless-offline
 * @returns a line for each port that another program uses
 */
export const findUsedPorts = async (
  options: Record<string, unknown>,
  functions: readonly FunctionDefinition[],
): Promise<string[]> => {
  const host = String(options.host);
  const present = new Set(functions.flatMap(({ events }) => eventNamesOf(events)));
  const needed = PORTS.filter(({ events }) => events?.some((name) => present.has(name)) ?? true);
  const lines = await Promise.all(
    needed.map(async ({ option, port: standard }) => {
      const port = Number(options[option] ?? standard);
      return (await isUsed(host, port))
        ? [
            `port ${port} of ${host} is in use, perhaps by another "sls offline"; ` +
              `choose another with --${option}, or with ${option} under custom.serverless-offline.`,
          ]
        : [];
    }),
  );
  return lines.flat();
};

const eventNamesOf = (events: unknown): string[] =>
  (Array.isArray(events) ? events : []).flatMap((event: unknown) =>
    isRecord(event) ? Object.keys(event) : [String(event)],
  );

const isUsed = async (host: string, port: number): Promise<boolean> => {
  const server = createServer().listen(port, host);
  try {
    await once(server, 'listening');
  } catch (error) {
    // serverless-offline itself reports other reasons, such as a host that does not exist.
    return error instanceof Error && 'code' in error && error.code === 'EADDRINUSE';
  }
  server.close();
  await once(server, 'close');
  return false;
};
