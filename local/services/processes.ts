import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { accessSync, constants, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Failure } from './failure.ts';

export interface Command {
  file: string;
  args: readonly string[];
  /** Variables in addition to PATH, LANG, HOME and TMPDIR. Servers get nothing else of our environment. */
  env?: Readonly<Record<string, string>>;
  cwd: string;
}

/** A user of this machine that runs a server when we are root. */
export interface User {
  name: string;
  uid: number;
  gid: number;
}

export const isRoot = process.getuid?.() === 0;

/** Servers are in sbin, which a user's PATH often lacks. */
const programFolders = () => [
  ...(process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== ''),
  ...['/usr/local/sbin', '/usr/sbin', '/sbin', '/usr/local/bin', '/opt/homebrew/bin', '/opt/homebrew/sbin'],
];

/** The first of these programs on the PATH or among the system's servers. */
export const findProgram = (...names: readonly string[]): string | undefined => {
  for (const name of names) {
    for (const folder of programFolders()) {
      const path = join(folder, name);
      try {
        accessSync(path, constants.X_OK);
        if (statSync(path).isFile()) return path;
      } catch {
        // Not here.
      }
    }
  }
  return undefined;
};

/** The first of these users that exists; undefined if we are not root, because servers then run as us. */
export const findUser = (...names: readonly string[]): User | undefined => {
  if (!isRoot) return undefined;
  for (const name of names) {
    try {
      const id = (flag: string) =>
        Number(execFileSync('id', [flag, name], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }));
      return { name, uid: id('-u'), gid: id('-g') };
    } catch {
      // No such user.
    }
  }
  return undefined;
};

let setpriv: { path: string; knowsDeathSignal: boolean } | undefined | 'unknown' = 'unknown';
const findSetpriv = () => {
  if (setpriv !== 'unknown') return setpriv;
  const path = findProgram('setpriv');
  if (path === undefined) {
    setpriv = undefined;
  } else {
    // The setpriv of BusyBox lacks the options.
    const help = execFileSync(path, ['--help'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
    setpriv = { path, knowsDeathSignal: help.includes('--pdeathsig') };
  }
  return setpriv;
};

/**
 * The command as another user. On Linux the program is killed when we die. Every wrapper calls `exec`, so that the child's
 * pid is the program's.
 */
export const asOwned = (
  command: Pick<Command, 'file' | 'args'>,
  user?: User,
): { file: string; args: string[] } => {
  const tool = findSetpriv();
  if (user !== undefined && tool === undefined) {
    throw new Failure(
      `${command.file} must not run as root, and setpriv (util-linux) is not there to start it as ${user.name}. Install util-linux, or start as an ordinary user.`,
    );
  }
  if (tool === undefined) return { file: command.file, args: [...command.args] };
  const flags = [
    ...(tool.knowsDeathSignal ? ['--pdeathsig', 'TERM'] : []),
    ...(user === undefined ? [] : ['--reuid', `${user.uid}`, '--regid', `${user.gid}`, '--init-groups']),
  ];
  if (flags.length === 0) return { file: command.file, args: [...command.args] };
  return { file: tool.path, args: [...flags, '--', command.file, ...command.args] };
};

const baseEnvironment = (command: Command) => ({
  PATH: programFolders().join(delimiter),
  LANG: 'C.UTF-8',
  HOME: command.cwd,
  TMPDIR: '/tmp',
  ...command.env,
});

/**
 * Starts a server in a session of its own: Ctrl-C at the terminal reaches only us, and we stop the servers in order. On
 * Linux the server also ends when we are killed.
 * @param output file descriptor for its standard output and error
 */
export const spawnServer = (command: Command, user: User | undefined, output: number): ChildProcess => {
  const { file, args } = asOwned(command, user);
  return spawn(file, args, {
    cwd: command.cwd,
    env: baseEnvironment(command),
    stdio: ['ignore', output, output],
    detached: true,
  });
};

/**
 * Runs a program until it exits.
 * @returns its standard output
 * @throws Failure with the program's last lines, if it exits with an error
 */
export const run = (
  command: Command,
  options: {
    user?: User | undefined;
    signal?: AbortSignal;
    timeoutMs?: number;
    onOutput?: (text: string) => void;
  } = {},
): Promise<string> => {
  const { file, args } = asOwned(command, options.user);
  return new Promise((resolve, reject) => {
    const child = execFile(
      file,
      args,
      {
        cwd: command.cwd,
        env: baseEnvironment(command),
        maxBuffer: 64 * 1024 * 1024,
        timeout: options.timeoutMs ?? 0,
        ...(options.signal === undefined ? {} : { signal: options.signal }),
      },
      (error, stdout, stderr) => {
        if (error === null) return resolve(stdout);
        const lines = `${stdout}\n${stderr}`
          .trim()
          .split(/[\r\n]+/)
          .slice(-12);
        reject(
          new Failure(
            `${[command.file, ...command.args].join(' ')} failed: ${error.message.split('\n')[0]}\n${indent(lines)}`,
          ),
        );
      },
    );
    child.stdin?.end();
    if (options.onOutput !== undefined)
      child.stdout?.on('data', (chunk) => options.onOutput?.(String(chunk)));
  });
};

export const indent = (lines: readonly string[]): string => lines.map((line) => `    ${line}`).join('\n');

/** Start time of a process, in the system's own unit; undefined if it does not run. Pid and start time identify a process. */
export const startTimeOf = (pid: number): string | undefined => {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The second field is the program's name in parentheses, with any characters in it.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' ? undefined : fields[19];
  } catch {
    if (process.platform === 'linux') return undefined;
  }
  try {
    return execFileSync('ps', ['-o', 'lstart=', '-p', `${pid}`], { encoding: 'utf8' }).trim() || undefined;
  } catch {
    return undefined;
  }
};

export interface ProcessId {
  name: string;
  pid: number;
  startTime: string;
}

export const isAlive = (id: ProcessId): boolean => startTimeOf(id.pid) === id.startTime;

/** A file with the process ids of a stack's servers. The next start ends the servers of a killed one. */
export class ProcessRecord {
  readonly #file: string;
  #ids: ProcessId[];

  constructor(folder: string) {
    this.#file = join(folder, 'processes.json');
    this.#ids = readJson<ProcessId[]>(this.#file) ?? [];
  }

  add(name: string, pid: number): void {
    const startTime = startTimeOf(pid);
    if (startTime === undefined) return;
    this.#ids.push({ name, pid, startTime });
    this.#write();
  }

  remove(pid: number): void {
    this.#ids = this.#ids.filter((id) => id.pid !== pid);
    this.#write();
  }

  /** Ends the recorded processes that still run. */
  async endAll(): Promise<string[]> {
    const left = this.#ids.filter(isAlive);
    await Promise.all(left.map((id) => end(id, 10_000)));
    this.#ids = [];
    this.#write();
    return left.map((id) => id.name);
  }

  #write(): void {
    if (this.#ids.length === 0) rmSync(this.#file, { force: true });
    else writeFileSync(this.#file, JSON.stringify(this.#ids), { mode: 0o600 });
  }
}

/** Sends SIGTERM, then SIGKILL after a grace period. Settles when the process is gone. */
export const end = async (id: ProcessId, patienceMs: number): Promise<void> => {
  const signal = (name: NodeJS.Signals) => {
    try {
      if (isAlive(id)) process.kill(id.pid, name);
    } catch {
      // The process ended in between.
    }
  };
  // A paused server does not handle SIGTERM until it continues.
  signal('SIGCONT');
  signal('SIGTERM');
  const force = performance.now() + patienceMs;
  let forced = false;
  while (isAlive(id)) {
    if (!forced && performance.now() > force) {
      signal('SIGKILL');
      forced = true;
    }
    await delay(50);
  }
};

/** The content of one of our JSON files; undefined if it is missing or incomplete. */
export const readJson = <T>(file: string): T | undefined => {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as T;
  } catch {
    return undefined;
  }
};
