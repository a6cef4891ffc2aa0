import { createHash, randomUUID } from 'node:crypto';
import type { KeyedHash } from '#lib/auth/keyed-hash.ts';
import type { Passwords } from '#lib/auth/passwords.ts';
import { signUp as contract } from '#lib/contracts/http/users.ts';
import { clientNetwork } from '#lib/domain/client-network.ts';
import { badInput } from '#lib/domain/errors.ts';
import { findPasswordFault } from '#lib/domain/password-policy.ts';
import { httpHandler, type Request } from '#lib/http/http-handler.ts';
import type { Users } from '#lib/mysql/users.ts';
import type { SignInAttempts } from '#lib/redis/limits/sign-in-attempts.ts';
import { passwords, requestHash } from '#lib/runtime/services/auth.ts';
import { users } from '#lib/runtime/services/mysql.ts';
import { signInAttempts } from '#lib/runtime/services/redis.ts';
import { now } from '#lib/runtime/services/settings.ts';

type Uses = {
  users: Pick<Users, 'create'>;
  passwords: Pick<Passwords, 'hash'>;
  requestHash: KeyedHash;
  signInAttempts: SignInAttempts;
  now: () => number;
};

/**
 * Writes to MySQL before it answers, so that the user can sign in at once. The answer to a repeated request tells whether
 * its password is right, so such a request counts as an attempt to sign in.
 */
export const signUp = async (
  {
    input,
    idempotency,
    clientAddress,
  }: Pick<Request<typeof contract>, 'input' | 'idempotency' | 'clientAddress'>,
  { users, passwords, requestHash, signInAttempts, now }: Uses,
) => {
  const { name, email, password } = input;
  const fault = findPasswordFault(password, { name, email });
  if (fault !== undefined) throw badInput([{ path: 'password', message: fault }]);

  const request = JSON.stringify([name, email, password]);
  const isSame = (first: string) => requestHash.matches(request, first);
  const attempt = { email, source: clientNetwork(clientAddress) };
  // A statement may run twice over a lost connection. With a key of its own the second run finds the first one's row.
  const key = idempotency?.key ?? randomUUID();
  return users.create(
    {
      name,
      email,
      passwordHash: await passwords.hash(password),
      signUpKey: createHash('sha256').update(key).digest('base64url'),
      signUpRequest: requestHash.of(request),
      nowMs: now(),
    },
    async (first) =>
      idempotency === undefined
        ? isSame(first)
        : (await signInAttempts.attempt(attempt, async () => isSame(first) || undefined)) === true,
  );
};

export const handler = httpHandler<typeof contract, Uses>(contract, signUp, {
  users,
  passwords,
  requestHash,
  signInAttempts,
  now,
});
