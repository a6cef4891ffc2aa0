import { createHash } from 'node:crypto';
import { EncryptJWT, jwtDecrypt } from 'jose';
import { unauthenticated } from '#lib/domain/errors.ts';

/** Who calls. The id is for commands only and never leaves; the token that carries it is encrypted. */
export type Caller = { id: number; name: string };

const LIFETIME_SECONDS = 60 * 60;
const ISSUER = 'chat-functions';
const AUDIENCE = 'chat-functions-api';
const TYPE = 'at+jwt'; // RFC 9068

type Key = { kid: string; bytes: Uint8Array };

const toKey = (secret: string): Key => ({
  kid: createHash('sha256').update(`kid:${secret}`).digest('base64url').slice(0, 8),
  bytes: createHash('sha256').update(secret).digest(),
});

/**
 * Access tokens: JWTs encrypted with a shared key (JWE `dir`, A256GCM; RFC 7516).
 * @param secrets the first encrypts; the others, of before a rotation, still open tokens
 */
export const createAccessTokens = (secrets: readonly string[]) => {
  const keys = secrets.map(toKey);
  const [current] = keys;
  if (current === undefined) throw new Error('No secret to encrypt access tokens with');

  return {
    issue: async (caller: Caller): Promise<{ accessToken: string; expiresIn: number }> => ({
      accessToken: await new EncryptJWT({ name: caller.name })
        .setProtectedHeader({ alg: 'dir', enc: 'A256GCM', typ: TYPE, kid: current.kid })
        .setSubject(String(caller.id))
        .setIssuer(ISSUER)
        .setAudience(AUDIENCE)
        .setIssuedAt()
        .setExpirationTime(`${LIFETIME_SECONDS}s`)
        .encrypt(current.bytes),
      expiresIn: LIFETIME_SECONDS,
    }),

    /** @throws unauthenticated for a token that is malformed, expired, or not ours */
    verify: async (token: string): Promise<Caller> => {
      try {
        const { payload } = await jwtDecrypt(
          token,
          ({ kid }) => {
            const key = keys.find((candidate) => candidate.kid === kid);
            if (key === undefined) throw new Error('Unknown key');
            return key.bytes;
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
          throw new Error('Claims');
        return { id, name: payload.name };
      } catch (error) {
        const expired = error instanceof Error && 'code' in error && error.code === 'ERR_JWT_EXPIRED';
        throw unauthenticated(expired ? 'The access token has expired.' : 'The access token is not valid.');
      }
    },
  };
};

export type AccessTokens = ReturnType<typeof createAccessTokens>;
