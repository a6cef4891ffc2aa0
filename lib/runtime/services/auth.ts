import { availableParallelism, totalmem } from 'node:os';
import { createAccessTokens } from '#lib/auth/access-tokens.ts';
import { createKeyedHash } from '#lib/auth/keyed-hash.ts';
import { deriveKey, type KeyLabel } from '#lib/auth/keys.ts';
import { createPasswords } from '#lib/auth/passwords.ts';
import { lazy } from '../lazy.ts';
import { config } from './servers.ts';

const MIB = 1024 * 1024;
export const keysOf = (label: KeyLabel): [Buffer, ...Buffer[]] => {
  const [current, ...earlier] = config().JWT_SECRET.map((secret) => deriveKey(secret, label));
  if (current === undefined) throw new Error('JWT_SECRET holds no secret');
  return [current, ...earlier];
};
/** Hashes accounts and client addresses, which must not appear in Redis or in logs. */
export const addressHash = /* @__PURE__ */ lazy(() => createKeyedHash(keysOf('address-hash')));
/** Hashes sign-ups, to detect another one with the same `Idempotency-Key`. */
export const requestHash = /* @__PURE__ */ lazy(() => createKeyedHash(keysOf('sign-up-fingerprint')));
/** Hashes requests that create, to detect another one with the same `Idempotency-Key`. */
export const requestFingerprint = /* @__PURE__ */ lazy(() => createKeyedHash(keysOf('request-fingerprint')));
export const passwords = /* @__PURE__ */ lazy(() =>
  createPasswords({
    memoryBytes: (config().AWS_LAMBDA_FUNCTION_MEMORY_SIZE ?? totalmem() / MIB) * MIB,
    processors: availableParallelism(),
  }),
);
export const accessTokens = /* @__PURE__ */ lazy(() => createAccessTokens(config().JWT_SECRET));
