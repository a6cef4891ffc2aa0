import { createSecretKey, type KeyObject } from 'node:crypto';
import { EncryptJWT, jwtDecrypt } from 'jose';
import { createBoundedMap } from '#lib/concurrency/bounded-map.ts';
import { unauthenticated } from '#lib/domain/errors.ts';
import { limits } from '#lib/domain/limits.ts';
import { deriveKey } from './keys.ts';

/**
 * The signed-in user. Only commands contain the id; clients see it encrypted in the token. A token has ended if its
 * `generation` is below the present one of the user.
 */
export type Caller = {
  id: number;
  name: string;
  /** Absent in tokens from before handles existed. */
  handle?: string;
  generation: number;
};

const ISSUER = 'chat-functions';
const AUDIENCE = 'chat-functions-api';
const TYPE = 'at+jwt'; // RFC 9068
/** The digits of the greatest safe integer. All ids are padded to it, so the length of a token does not reveal the id. */
const ID_DIGITS = 16;
const CACHED_TOKENS = 10_000;
const KEY_ID_BYTES = 6;

type Key = { kid: string; key: KeyObject };
type Opened = { caller: Caller; expiresAtMs: number };

const toKey = (secret: string): Key => ({
  kid: deriveKey(secret, 'access-token-id').subarray(0, KEY_ID_BYTES).toString('base64url'),
  key: createSecretKey(deriveKey(secret, 'access-token')),
});

/** Base64url without unused bits: otherwise several texts would be the same token. */
const isCanonical = (token: string): boolean =>
  token.split('.').every((part) => Buffer.from(part, 'base64url').toString('base64url') === part);

/**
 * Access tokens: JWTs encrypted with a shared key (JWE `dir`, A256GCM; RFC 7516).
 * @param secrets the first one encrypts; older ones, from before a rotation, only decrypt
 */
export const createAccessTokens = (secrets: readonly string[]) => {
  const keys = secrets.map(toKey);
  const [current] = keys;
  if (current === undefined) throw new Error('No secret to encrypt access tokens with');
  /** Decrypted tokens, each kept until it expires. This spares the decryption, and permits nothing. */
  const opened = createBoundedMap<string, Opened>(CACHED_TOKENS);

  const open = async (token: string): Promise<Opened> => {
    if (!isCanonical(token)) throw new Error('The encoding of the access token is invalid');
    const { payload } = await jwtDecrypt(
      token,
      ({ kid }) => {
        const found = keys.find((candidate) => candidate.kid === kid);
        if (found === undefined) throw new Error('Unknown key');
        return found.key;
      },
      {
        issuer: ISSUER,
        audience: AUDIENCE,
        typ: TYPE,
        requiredClaims: ['sub', 'exp', 'iat'],
        keyManagementAlgorithms: ['dir'],
        contentEncryptionAlgorithms: ['A256GCM'],
      },
    );
    const id = Number(payload.sub);
    if (!Number.isSafeInteger(id) || id < 1 || typeof payload.name !== 'string')
      throw new Error('The claims of the access token are invalid');
    // A token from before generations has none.
    const { generation = 0 } = payload;
    if (typeof generation !== 'number' || !Number.isSafeInteger(generation))
      throw new Error('The generation of the access token is invalid');
    const handle = typeof payload.handle === 'string' ? { handle: payload.handle } : {};
    const caller = { id, name: payload.name, ...handle, generation };
    return { caller, expiresAtMs: (payload.exp ?? 0) * 1_000 };
  };

  const read = async (token: string): Promise<Opened> => {
    const known = opened.get(token);
    if (known !== undefined && Date.now() < known.expiresAtMs) return known;
    try {
      const found = await open(token);
      opened.set(token, found);
      return found;
    } catch (error) {
      const expired = error instanceof Error && 'code' in error && error.code === 'ERR_JWT_EXPIRED';
      throw expired
        ? unauthenticated('The access token has expired.', 'token-expired')
        : unauthenticated('The access token is not valid.', 'token-invalid');
    }
  };

  return {
    /**
     * @param caller `generation`: as it was when the password was read; 0 by default
     * @returns the token, and its lifetime in seconds
     */
    issue: async ({
      id,
      name,
      handle,
      generation = 0,
    }: Omit<Caller, 'generation'> & Partial<Caller>): Promise<{
      accessToken: string;
      expiresIn: number;
    }> => ({
      accessToken: await new EncryptJWT({ name, handle, generation })
        .setProtectedHeader({ alg: 'dir', enc: 'A256GCM', typ: TYPE, kid: current.kid })
        .setSubject(String(id).padStart(ID_DIGITS, '0'))
        .setIssuer(ISSUER)
        .setAudience(AUDIENCE)
        .setIssuedAt()
        .setExpirationTime(`${limits.accessTokenSeconds}s`)
        .encrypt(current.key),
      expiresIn: limits.accessTokenSeconds,
    }),

    /** @throws as `open` does */
    verify: async (token: string): Promise<Caller> => (await read(token)).caller,

    /** @returns the caller, and the end of the token. @throws unauthenticated for a token that is malformed, expired, or not ours */
    open: read,
  };
};

export type AccessTokens = ReturnType<typeof createAccessTokens>;
