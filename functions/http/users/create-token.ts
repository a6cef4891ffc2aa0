import type { AccessTokens } from '#lib/auth/access-tokens.ts';
import { verifyPassword } from '#lib/auth/passwords.ts';
import { createToken as contract } from '#lib/contracts/users.ts';
import { unauthenticated } from '#lib/domain/errors.ts';
import { limits } from '#lib/domain/limits.ts';
import { httpHandler, type Request } from '#lib/http/http-handler.ts';
import type { Users } from '#lib/mysql/users.ts';
import type { SignInAttempts } from '#lib/redis/sign-in-attempts.ts';
import { accessTokens, signInAttempts, users } from '#lib/runtime/services.ts';

type Uses = { users: Users; signInAttempts: SignInAttempts; accessTokens: AccessTokens };

/** The same work and the same answer, whether the address is unknown or the password is wrong. */
export const createToken = async (
  { credentials }: Request<typeof contract>,
  { users, signInAttempts, accessTokens }: Uses,
) => {
  const email = credentials.user.toLowerCase().slice(0, limits.email + 1);
  await signInAttempts.begin(email);
  const user = await users.findByEmail(email);
  const password = credentials.password.slice(0, limits.password + 1);
  if (!(await verifyPassword(password, user?.passwordHash)) || user === undefined) {
    throw unauthenticated('The e-mail address or the password is wrong.');
  }
  await signInAttempts.succeeded(email);
  return { ...(await accessTokens.issue(user)), tokenType: 'Bearer' as const };
};

export const handler = httpHandler(contract, createToken, {
  users,
  signInAttempts,
  accessTokens,
});
