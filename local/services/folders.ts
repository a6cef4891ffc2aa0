import { createHash, randomBytes } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  linkSync,
  mkdirSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { Failure } from './failure.ts';
import { isAlive, isRoot, type ProcessId, readJson, startTimeOf, type User } from './processes.ts';
import type { Urls } from './types.ts';

export const projectName = 'chat-functions';
const checkout = resolve(import.meta.dirname, '../..');

/** Tells this checkout from others of the same project on the machine. */
export const checkoutId = createHash('sha256').update(checkout).digest('hex').slice(0, 12);

/** Whether every user of the machine may pass through this folder and all above it (those that exist). */
export const isOpenToAll = (folder: string): boolean => {
  for (let path = resolve(folder); ; path = dirname(path)) {
    const mode = statSync(path, { throwIfNoEntry: false })?.mode;
    if (mode !== undefined && (mode & 0o001) === 0) return false;
    if (path === dirname(path)) return true;
  }
};

/**
 * Where the stacks of this checkout keep their data: `.data` in the checkout. As root, servers run as users of
 * their own, and where those cannot reach the checkout (a clone under a closed home), a folder of the system
 * that is named after the checkout's path.
 */
const dataRoot = (): string => {
  const inCheckout = join(checkout, '.data');
  if (!isRoot || isOpenToAll(inCheckout)) return inCheckout;
  return join('/var/lib', projectName, checkoutId);
};

/** Makes a folder that only this user (we, where there is none) can read. */
export const makeFolder = (path: string, user: User | undefined): void => {
  mkdirSync(path, { recursive: true });
  chmodSync(path, 0o700);
  if (user !== undefined) chownSync(path, user.uid, user.gid);
};

/** Writes a file that only this user (we, where there is none) can read. */
export const writePrivate = (path: string, content: string, user: User | undefined): void => {
  rmSync(path, { force: true });
  writeFileSync(path, content, { mode: 0o600 });
  if (user !== undefined) chownSync(path, user.uid, user.gid);
};

interface State {
  ports: Record<string, number>;
  secrets: Record<string, string>;
}

/** One stack's folder: locked while its owner lives, and with the ports and secrets that outlive a run. */
export class StackFolder {
  readonly path: string;
  readonly #state: State;

  constructor(stack: string) {
    this.path = join(dataRoot(), stack);
    mkdirSync(this.path, { recursive: true, mode: 0o755 });
    // Whatever the umask: the servers' users pass through to their own folders.
    for (const path of [dirname(this.path), this.path]) chmodSync(path, 0o755);
    this.#lock(stack);
    this.#state = readJson<State>(join(this.path, 'state.json')) ?? { ports: {}, secrets: {} };
  }

  port(name: string): number | undefined {
    return this.#state.ports[name];
  }

  rememberPort(name: string, port: number): void {
    if (this.#state.ports[name] === port) return;
    this.#state.ports[name] = port;
    this.#save();
  }

  secret(name: string): string {
    const known = this.#state.secrets[name];
    if (known !== undefined) return known;
    let made: string;
    // Not one that a command line would take for an option.
    do made = randomBytes(32).toString('base64url');
    while (made.startsWith('-'));
    this.#state.secrets[name] = made;
    this.#save();
    return made;
  }

  /** Tells other programs of ours where the servers are: {@link urlsOf}. */
  writeUrls(urls: Urls): void {
    writePrivate(join(this.path, 'urls.json'), JSON.stringify(urls), undefined);
  }

  unlock(): void {
    rmSync(join(this.path, 'lock.json'), { force: true });
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true, maxRetries: 5 });
  }

  #save(): void {
    writePrivate(join(this.path, 'state.json'), JSON.stringify(this.#state), undefined);
  }

  #lock(stack: string): void {
    const file = join(this.path, 'lock.json');
    const us: ProcessId = { name: stack, pid: process.pid, startTime: startTimeOf(process.pid) ?? '' };
    // Written aside and linked into place, so that nobody meets a lock without its content.
    const aside = `${file}.${process.pid}`;
    writeFileSync(aside, JSON.stringify(us), { mode: 0o600 });
    try {
      for (let attempt = 0; attempt < 3; attempt += 1) {
        try {
          linkSync(aside, file);
          return;
        } catch (error) {
          if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
        }
        const owner = readJson<ProcessId>(file);
        if (owner !== undefined && isAlive(owner)) {
          throw new Failure(
            `It is already running in this checkout: process ${owner.pid} holds ${this.path}. Use that one, or end it first (Ctrl-C in its terminal, or kill ${owner.pid}).`,
          );
        }
        rmSync(file, { force: true });
      }
    } finally {
      rmSync(aside, { force: true });
    }
    throw new Failure(`${file} could not be taken: another start is under way. Try again.`);
  }
}

/** The process that holds a stack of this checkout now. */
export const ownerOf = (stack: string): number | undefined => {
  const owner = readJson<ProcessId>(join(dataRoot(), stack, 'lock.json'));
  return owner !== undefined && isAlive(owner) ? owner.pid : undefined;
};

/** Where the servers of a stack of this checkout are; undefined unless it runs now, as this user. */
export const urlsOf = (stack: string): Urls | undefined =>
  ownerOf(stack) === undefined ? undefined : readJson<Urls>(join(dataRoot(), stack, 'urls.json'));

/** A secret of a stack of this checkout; undefined where none was made yet. */
export const secretOf = (stack: string, name: string): string | undefined =>
  readJson<State>(join(dataRoot(), stack, 'state.json'))?.secrets[name];

/** The names of this checkout's stacks that begin so and whose owner is dead. */
export const findAbandonedStacks = (prefix: string): string[] => {
  let names: string[];
  try {
    names = readdirSync(dataRoot());
  } catch {
    return [];
  }
  return names.filter((name) => {
    if (!name.startsWith(prefix)) return false;
    const owner = readJson<ProcessId>(join(dataRoot(), name, 'lock.json'));
    if (owner !== undefined) return !isAlive(owner);
    // No owner: left half way, or being made this very moment.
    const madeMs = statSync(join(dataRoot(), name), { throwIfNoEntry: false })?.ctimeMs ?? Date.now();
    return Date.now() - madeMs > 60_000;
  });
};
