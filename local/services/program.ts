import type { Command, User } from './processes.ts';
import type { Report, ServiceName } from './types.ts';

/** What a server's program is given to run in: a folder and ports of its own. */
export interface Place {
  /** Belongs to the server's user. Its data go to `data` in it. */
  readonly folder: string;
  readonly dataFolder: string;
  readonly user: User | undefined;
  port(name: string): number;
  secret(name: string): string;
  /** Runs a program to its end as the server's user. */
  run(command: Command): Promise<string>;
}

/** How one kind of server is run as a child process. */
export interface Program {
  readonly name: ServiceName;
  /** Users it can run as where we are root, the best first. */
  readonly users: readonly string[];
  /** Names of the ports it listens on; the first is the one its URL has. */
  readonly ports: readonly string[];
  /** Makes what must be there before each start: configuration, and data where there is none yet. */
  prepare(place: Place): Promise<void>;
  command(place: Place): Command;
  /** Further processes it needs beside it, started first and ended last. */
  companions?(place: Place): Command[];
  url(place: Place): string;
}

/** Finds a server's program on this machine, or gets it. */
export interface Source {
  readonly name: ServiceName;
  /** @throws Failure that says what to install · Unavailable where the system works without this server */
  find(report: Report, signal: AbortSignal): Promise<Program>;
}
