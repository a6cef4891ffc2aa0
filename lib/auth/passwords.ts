import { type BinaryLike, randomBytes, type ScryptOptions, scrypt, timingSafeEqual } from 'node:crypto';

/** OWASP Password Storage Cheat Sheet, scrypt: N=2^17 (128 MiB), r=8, p=1. */
const strength = { ln: 17, r: 8, p: 1 };
const KEY_BYTES = 32;

const derive = (password: BinaryLike, salt: Buffer, { ln, r, p }: typeof strength): Promise<Buffer> =>
  new Promise((resolve, reject) => {
    const options: ScryptOptions = { N: 2 ** ln, r, p, maxmem: 256 * 2 ** ln * r };
    scrypt(password, salt, KEY_BYTES, options, (error, key) => (error ? reject(error) : resolve(key)));
  });

const unpadded = (bytes: Buffer) => bytes.toString('base64').replace(/=+$/, '');

/** @returns the hash with its salt and strength, in PHC string format */
export const hashPassword = async (password: string): Promise<string> => {
  const salt = randomBytes(16);
  const key = await derive(password.normalize('NFKC'), salt, strength);
  return `$scrypt$ln=${strength.ln},r=${strength.r},p=${strength.p}$${unpadded(salt)}$${unpadded(key)}`;
};

const format = /^\$scrypt\$ln=(\d+),r=(\d+),p=(\d+)\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$/;

/** @param hash undefined for an unknown user: the work is the same, the answer is no */
export const verifyPassword = async (password: string, hash: string | undefined): Promise<boolean> => {
  const [, ln, r, p, salt, key] = (hash && format.exec(hash)) || [];
  const expected = key === undefined ? randomBytes(KEY_BYTES) : Buffer.from(key, 'base64');
  const used = ln === undefined ? strength : { ln: Number(ln), r: Number(r), p: Number(p) };
  const actual = await derive(password.normalize('NFKC'), Buffer.from(salt ?? '', 'base64'), used);
  return actual.length === expected.length && timingSafeEqual(actual, expected);
};
