import { createHash } from 'node:crypto';
import { hashPassword } from '#lib/auth/passwords.ts';
import { signUp as contract } from '#lib/contracts/users.ts';
import { httpHandler, type Request } from '#lib/http/http-handler.ts';
import type { Users } from '#lib/mysql/users.ts';
import { now, users } from '#lib/runtime/services.ts';

type Uses = { users: Users; now: () => number };

/** Written at once: nobody can sign in with what is still on its way. */
export const signUp = async ({ input, idempotency }: Request<typeof contract>, { users, now }: Uses) =>
  users.create({
    name: input.name,
    email: input.email,
    passwordHash: await hashPassword(input.password),
    signUpKey:
      idempotency === undefined ? null : createHash('sha256').update(idempotency.key).digest('base64url'),
    nowMs: now(),
  });

export const handler = httpHandler(contract, signUp, { users, now });
