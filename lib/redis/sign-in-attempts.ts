import { createHash } from 'node:crypto';
import { KnownError } from '#lib/domain/errors.ts';
import type { RedisClient } from './client.ts';
import { guarded } from './guard.ts';
import type { Keys } from './keys.ts';

/** OWASP Authentication Cheat Sheet, "Account Lockout": by account, not by address, and for a while only. */
const ATTEMPTS = 5;
const WINDOW_SECONDS = 300;

/** Failed sign-ins of an account. An attempt counts before the password is looked at, so that none slip in between. */
export const createSignInAttempts = ({ client, keys }: { client: RedisClient; keys: Keys }) => {
  const keyOf = (email: string) => keys.signIn(createHash('sha256').update(email).digest('base64url'));
  return {
    /** @throws too-many-requests, with the seconds to wait */
    begin: async (email: string): Promise<void> => {
      const key = keyOf(email);
      const results = await guarded(
        client,
        ({ redis }) => redis.multi().incr(key).expire(key, WINDOW_SECONDS, 'NX').ttl(key).exec(),
        // One attempt never counts twice.
        { tries: 1 },
      );
      const attempts = Number(results?.[0]?.[1]);
      const ttl = Number(results?.[2]?.[1]);
      if (attempts > ATTEMPTS) {
        throw new KnownError('too-many-requests', 'Too many failed sign-ins for this account.', {
          retryAfterSeconds: Math.max(ttl, 1),
        });
      }
    },
    succeeded: async (email: string): Promise<void> => {
      await guarded(client, ({ redis }) => redis.del(keyOf(email)));
    },
  };
};

export type SignInAttempts = ReturnType<typeof createSignInAttempts>;
