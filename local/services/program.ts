import { existsSync } from 'node:fs';
import type { Command, User } from './processes.ts';
import type { Report, ServiceName } from './types.ts';

/** On Linux: the working folder of the process that reads this name. */
const ownWorkingFolder = '/proc/self/cwd';

/**
 * The folder of a place, as its server names it. On Linux the name holds no character that a server could misread, such
 * as a space, a quote or a bracket, and it stays right when the project's folder is renamed. It requires a server that
 * stays in its working folder.
 */
export const nameOfFolder = ({ folder }: Pick<Place, 'folder'>): string =>
  existsSync(ownWorkingFolder) ? ownWorkingFolder : folder;

/** The place in which a server's program runs: a folder and ports of its own. */
export interface Place {
  /** Owned by the server's user. Its data are in the subfolder `data`. */
  readonly folder: string;
  readonly dataFolder: string;
  readonly user: User | undefined;
  port(name: string): number;
  secret(name: string): string;
  /** Runs a program as the server's user until it exits. */
  run(command: Command): Promise<string>;
}

/** How one kind of server runs as a child process. */
export interface Program {
  readonly name: ServiceName;
  /** Users that can run it when we are root, in order of preference. */
  readonly users: readonly string[];
  /** Names of the ports it listens on. The first is the port of its URL. */
  readonly ports: readonly string[];
  /** Prepares each start: writes the configuration, and initialises the data if there are none. */
  prepare(place: Place): Promise<void>;
  command(place: Place): Command;
  /** Companion processes, started first and stopped last. */
  companions?(place: Place): Command[];
  url(place: Place): string;
}

/** Finds a server's program on this machine, or installs it. */
export interface Source {
  readonly name: ServiceName;
  /** @throws Failure that says what to install · Unavailable if the system works without this server */
  find(report: Report, signal: AbortSignal): Promise<Program>;
}
