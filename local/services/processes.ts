import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { accessSync, constants, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Failure } from './failure.ts';

export interface Command {
  file: string;
  args: readonly string[];
  /** Added to what every server gets (PATH, LANG, HOME, TMPDIR); the rest of our environment stays ours. */
  env?: Readonly<Record<string, string>>;
  cwd: string;
}

/** A user of this machine that servers run as when we are root. */
export interface User {
  name: string;
  uid: number;
  gid: number;
}

export const isRoot = process.getuid?.() === 0;

/** Servers live in sbin, which a user's PATH often leaves out. */
const programFolders = () => [
  ...(process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== ''),
  ...['/usr/local/sbin', '/usr/sbin', '/sbin', '/usr/local/bin', '/opt/homebrew/bin', '/opt/homebrew/sbin'],
];

/** The first of these programs that is found in the PATH or among the system's servers. */
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

/** The first of these users that exists; undefined where we are not root, since servers then run as us. */
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
    // BusyBox has a setpriv of its own, which knows less.
    const help = execFileSync(path, ['--help'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
    setpriv = { path, knowsDeathSignal: help.includes('--pdeathsig') };
  }
  return setpriv;
};

/**
 * The command as another user, and with a wish to be ended when we die where the system can do that (Linux);
 * `exec` all the way, so that the child's pid is the program's.
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
 * Starts a server in a session of its own, so that Ctrl-C at the terminal reaches only us, which end the
 * servers in order. Where the system can (Linux), the server is also told to end when we are killed.
 * @param output a file descriptor for its standard output and error
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
 * Runs a program to its end.
 * @returns its standard output
 * @throws Failure with the program's last lines
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

/** When a process began, as the system counts it; undefined when there is none. With the pid it names one process. */
export const startTimeOf = (pid: number): string | undefined => {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The second field is the program's name in parentheses, and may hold anything.
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

/** The process ids of a stack's servers, in a file, so that the next start can end what a killed one left. */
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

  /** Ends what is recorded and still the same process. */
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

/** SIGTERM, and SIGKILL after a while; settles when the process is gone. */
export const end = async (id: ProcessId, patienceMs: number): Promise<void> => {
  const signal = (name: NodeJS.Signals) => {
    try {
      if (isAlive(id)) process.kill(id.pid, name);
    } catch {
      // Gone in between.
    }
  };
  // A paused server takes no SIGTERM until it goes on.
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

/** The content of a JSON file of our own; undefined when it is missing or cut off. */
export const readJson = <T>(file: string): T | undefined => {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as T;
  } catch {
    return undefined;
  }
};
