import { createHash, randomBytes } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { Failure } from './failure.ts';
import { isAlive, isRoot, type ProcessId, readJson, startTimeOf, type User } from './processes.ts';
import type { ApiUrls, Urls } from './types.ts';

export const projectName = 'chat-functions';
const checkout = resolve(import.meta.dirname, '../..');

type CheckoutRecord = { id: string; path: string };
const recordOf = (folder: string) => readJson<CheckoutRecord>(join(folder, '.data/checkout.json'));

/** The id of earlier versions, if this checkout has data of one. It changed with the folder's name. */
const findEarlierId = (): string | undefined => {
  const id = createHash('sha256').update(checkout).digest('hex').slice(0, 12);
  const folders = [join(checkout, '.data/start'), join('/var/lib', projectName, id)];
  return folders.some((folder) => existsSync(folder)) ? id : undefined;
};

/**
 * Distinguishes this checkout from other checkouts of the project on this machine, also after its folder was renamed:
 * `.data/checkout.json` keeps the id. The record of a copied folder belongs to the original.
 */
export const getCheckoutId = (): string => {
  const record = recordOf(checkout);
  const isCopy = record !== undefined && record.path !== checkout && recordOf(record.path)?.id === record.id;
  const id = (isCopy ? undefined : (record?.id ?? findEarlierId())) ?? randomBytes(6).toString('hex');
  if (record?.id === id && record.path === checkout) return id;
  const file = join(checkout, '.data/checkout.json');
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(`${file}.${process.pid}`, JSON.stringify({ id, path: checkout } satisfies CheckoutRecord));
  renameSync(`${file}.${process.pid}`, file);
  return id;
};

/** Whether every user of the machine may enter this folder and all existing folders above it. */
export const isOpenToAll = (folder: string): boolean => {
  for (let path = resolve(folder); ; path = dirname(path)) {
    const mode = statSync(path, { throwIfNoEntry: false })?.mode;
    if (mode !== undefined && (mode & 0o001) === 0) return false;
    if (path === dirname(path)) return true;
  }
};

/**
 * The folder of this checkout's stacks: `.data` in the checkout. Started by root, servers run as users of their own.
 * If these users cannot enter the checkout, the folder is in /var/lib, named after the checkout's id.
 */
const dataRoot = (): string => {
  const inCheckout = join(checkout, '.data');
  if (!isRoot || isOpenToAll(inCheckout)) return inCheckout;
  return join('/var/lib', projectName, getCheckoutId());
};

/** Makes a folder that only this user can read; our own user if absent. */
export const makeFolder = (path: string, user: User | undefined): void => {
  mkdirSync(path, { recursive: true });
  chmodSync(path, 0o700);
  if (user !== undefined) chownSync(path, user.uid, user.gid);
};

/** Writes a file that only this user can read; our own user if absent. */
export const writePrivate = (path: string, content: string | Buffer, user: User | undefined): void => {
  rmSync(path, { force: true });
  writeFileSync(path, content, { mode: 0o600 });
  if (user !== undefined) chownSync(path, user.uid, user.gid);
};

interface State {
  ports: Record<string, number>;
  secrets: Record<string, string>;
  /** Whether the stack has, or had, a Compose project. */
  usesCompose?: boolean;
}

/** The folder of one stack. Its owner locks it; its ports and secrets outlive a run. */
export class StackFolder {
  readonly path: string;
  readonly #state: State;

  constructor(stack: string) {
    getCheckoutId();
    this.path = join(dataRoot(), stack);
    mkdirSync(this.path, { recursive: true, mode: 0o755 });
    // The servers' users pass through to their own folders, whatever the umask.
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

  get usesCompose(): boolean {
    return this.#state.usesCompose === true;
  }

  /** Records that the stack has a Compose project, which outlives a killed owner. */
  rememberCompose(): void {
    if (this.usesCompose) return;
    this.#state.usesCompose = true;
    this.#save();
  }

  secret(name: string): string {
    const known = this.#state.secrets[name];
    if (known !== undefined) return known;
    let made: string;
    // A command line would read a leading dash as an option.
    do made = randomBytes(32).toString('base64url');
    while (made.startsWith('-'));
    this.#state.secrets[name] = made;
    this.#save();
    return made;
  }

  /** Records the servers' URLs for {@link urlsOf}. */
  writeUrls(urls: Urls): void {
    writePrivate(join(this.path, 'urls.json'), JSON.stringify(urls), undefined);
  }

  /** Records the addresses of the API for {@link apiOf}. */
  writeApi(api: ApiUrls): void {
    writePrivate(join(this.path, 'api.json'), JSON.stringify(api), undefined);
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
    // Written to another file and linked into place: a lock without content never exists.
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
    throw new Failure(`${file} could not be locked: another start is in progress. Try again.`);
  }
}

/** The process id of a running stack's owner, if the stack of this checkout runs. */
export const ownerOf = (stack: string): number | undefined => {
  const owner = readJson<ProcessId>(join(dataRoot(), stack, 'lock.json'));
  return owner !== undefined && isAlive(owner) ? owner.pid : undefined;
};

/** URLs of a stack's servers; undefined unless the stack runs now, as this user. */
export const urlsOf = (stack: string): Urls | undefined =>
  ownerOf(stack) === undefined ? undefined : readJson<Urls>(join(dataRoot(), stack, 'urls.json'));

/** The addresses of the running API of a stack; undefined while it does not run. */
export const apiOf = (stack: string): ApiUrls | undefined =>
  ownerOf(stack) === undefined ? undefined : readJson<ApiUrls>(join(dataRoot(), stack, 'api.json'));

/** A secret of a stack of this checkout; undefined if it was not generated yet. */
export const secretOf = (stack: string, name: string): string | undefined =>
  readJson<State>(join(dataRoot(), stack, 'state.json'))?.secrets[name];

/** Names of this checkout's stacks with this prefix and a dead owner. */
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
    // Without an owner: abandoned half way, or being made at this moment.
    const madeMs = statSync(join(dataRoot(), name), { throwIfNoEntry: false })?.ctimeMs ?? Date.now();
    return Date.now() - madeMs > 60_000;
  });
};
