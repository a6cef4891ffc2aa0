import { createHash, randomUUID } from 'node:crypto';
import type { KeyedHash } from '#lib/auth/keyed-hash.ts';
import type { Passwords } from '#lib/auth/passwords.ts';
import { signUp as contract } from '#lib/contracts/http/users.ts';
import { badInput } from '#lib/domain/errors.ts';
import { findPasswordFault } from '#lib/domain/password-policy.ts';
import { httpHandler, type Request } from '#lib/http/http-handler.ts';
import type { Users } from '#lib/mysql/users.ts';
import { passwords, requestHash } from '#lib/runtime/services/auth.ts';
import { users } from '#lib/runtime/services/mysql.ts';
import { now } from '#lib/runtime/services/settings.ts';

type Uses = {
  users: Pick<Users, 'create'>;
  passwords: Pick<Passwords, 'hash'>;
  requestHash: KeyedHash;
  now: () => number;
};

/** Writes to MySQL before it answers, so that the user can sign in at once. */
export const signUp = async (
  { input, idempotency }: Pick<Request<typeof contract>, 'input' | 'idempotency'>,
  { users, passwords, requestHash, now }: Uses,
) => {
  const { name, email, password } = input;
  const fault = findPasswordFault(password, { name, email });
  if (fault !== undefined) throw badInput([{ path: 'password', message: fault }]);

  const request = JSON.stringify([name, email, password]);
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
    (signUpRequest) => requestHash.matches(request, signUpRequest),
  );
};

export const handler = httpHandler<typeof contract, Uses>(contract, signUp, {
  users,
  passwords,
  requestHash,
  now,
});
