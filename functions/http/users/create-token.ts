import type { AccessTokens } from '#lib/auth/access-tokens.ts';
import type { Passwords } from '#lib/auth/passwords.ts';
import { createToken as contract } from '#lib/contracts/http/users.ts';
import { clientNetwork } from '#lib/domain/client-network.ts';
import { parseEmailAddress } from '#lib/domain/email-address.ts';
import { unauthenticated } from '#lib/domain/errors.ts';
import { httpHandler, type Request } from '#lib/http/http-handler.ts';
import type { Users } from '#lib/mysql/users.ts';
import type { SignInAttempts } from '#lib/redis/limits/sign-in-attempts.ts';
import { accessTokens, passwords } from '#lib/runtime/services/auth.ts';
import { users } from '#lib/runtime/services/mysql.ts';
import { signInAttempts } from '#lib/runtime/services/redis.ts';

type Uses = {
  users: Pick<Users, 'findByEmail'>;
  passwords: Pick<Passwords, 'verify'>;
  signInAttempts: SignInAttempts;
  accessTokens: Pick<AccessTokens, 'issue'>;
};

const refused = () => unauthenticated('The e-mail address or the password is wrong.', 'sign-in-refused');

/** Unknown addresses and wrong passwords take the same work and get the same answer. */
export const createToken = async (
  { credentials, clientAddress }: Pick<Request<typeof contract>, 'credentials' | 'clientAddress'>,
  { users, passwords, signInAttempts, accessTokens }: Uses,
) => {
  const email = parseEmailAddress(credentials.user);
  // Sign-up refuses such a text too, so this answer reveals nothing about accounts.
  if (email === undefined) throw refused();
  const user = await signInAttempts.attempt({ email, source: clientNetwork(clientAddress) }, async () => {
    const found = await users.findByEmail(email);
    return (await passwords.verify(credentials.password, found?.passwordHash)) ? found : undefined;
  });
  if (user === undefined) throw refused();
  return { ...(await accessTokens.issue(user)), tokenType: 'Bearer' as const };
};

export const handler = httpHandler(contract, createToken, {
  users,
  passwords,
  signInAttempts,
  accessTokens,
});
