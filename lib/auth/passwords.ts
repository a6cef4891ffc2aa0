import { type BinaryLike, randomBytes, type ScryptOptions, scrypt, timingSafeEqual } from 'node:crypto';
import { type ConcurrencyLimit, createConcurrencyLimit } from './concurrency-limit.ts';

/** OWASP Password Storage Cheat Sheet, scrypt: N=2^17 (128 MiB), r=8, p=1. */
const strength = { ln: 17, r: 8, p: 1 };
const KEY_BYTES = 32;
/** Process memory for each running hash: its 128 MiB, and as much again for everything else. */
const BYTES_PER_HASH = 256 * 1024 * 1024;
/** libuv has four threads. Hashes must not take the last one: opening an access token needs one, too. */
const MAX_PARALLEL = 3;
const MAX_WAITING = 10;

/** @returns how many hashes a process runs at once: two with 512 MB, and never more than it has processors */
export const parallelHashes = ({ memoryBytes, processors }: { memoryBytes: number; processors: number }) =>
  Math.max(1, Math.min(Math.floor(memoryBytes / BYTES_PER_HASH), processors, MAX_PARALLEL));

const derive = (password: BinaryLike, salt: Buffer, { ln, r, p }: typeof strength): Promise<Buffer> =>
  new Promise((resolve, reject) => {
    const options: ScryptOptions = { N: 2 ** ln, r, p, maxmem: 256 * 2 ** ln * r };
    scrypt(password, salt, KEY_BYTES, options, (error, key) => (error ? reject(error) : resolve(key)));
  });

const unpadded = (bytes: Buffer) => bytes.toString('base64').replace(/=+$/, '');

const hashPassword = async (password: string): Promise<string> => {
  const salt = randomBytes(16);
  const key = await derive(password.normalize('NFKC'), salt, strength);
  return `$scrypt$ln=${strength.ln},r=${strength.r},p=${strength.p}$${unpadded(salt)}$${unpadded(key)}`;
};

const format = /^\$scrypt\$ln=(\d+),r=(\d+),p=(\d+)\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$/;

const verifyPassword = async (password: string, hash: string | undefined): Promise<boolean> => {
  const [, ln, r, p, salt, key] = (hash && format.exec(hash)) || [];
  const expected = key === undefined ? randomBytes(KEY_BYTES) : Buffer.from(key, 'base64');
  const used = ln === undefined ? strength : { ln: Number(ln), r: Number(r), p: Number(p) };
  const actual = await derive(password.normalize('NFKC'), Buffer.from(salt ?? '', 'base64'), used);
  return actual.length === expected.length && timingSafeEqual(actual, expected);
};

/**
 * Hashes passwords. One hash takes 128 MiB and about half a second of a processor, so the process limits how many run.
 * Both functions throw unavailable (503, with the seconds to wait) when ten others already wait.
 */
export const createPasswords = (machine: { memoryBytes: number; processors: number }) => {
  const limited: ConcurrencyLimit = createConcurrencyLimit({
    parallel: parallelHashes(machine),
    maxWaiting: MAX_WAITING,
  });
  return {
    /** @returns the hash with its salt and strength, in PHC string format */
    hash: (password: string): Promise<string> => limited(() => hashPassword(password)),
    /** @param hash undefined for an unknown user: the work is the same, and the result is false */
    verify: (password: string, hash: string | undefined): Promise<boolean> =>
      limited(() => verifyPassword(password, hash)),
  };
};

export type Passwords = ReturnType<typeof createPasswords>;
