import type { Passwords } from '#lib/auth/passwords.ts';
import { clientNetwork } from '#lib/domain/client-network.ts';
import { parseEmailAddress } from '#lib/domain/email-address.ts';
import { wrongPassword } from '#lib/domain/errors.ts';
import type { User, Users } from '#lib/mysql/users.ts';
import type { SignInAttempts } from '#lib/redis/limits/sign-in-attempts.ts';

/**
 * Returns a function that finds the user of Basic credentials. All routes with a password share its counters of failures.
 * Unknown addresses and wrong passwords take the same work and get the same answer.
 */
export const createPasswordCheck =
  ({
    users,
    passwords,
    signInAttempts,
  }: {
    users: Pick<Users, 'findByEmail'>;
    passwords: Pick<Passwords, 'verify'>;
    signInAttempts: SignInAttempts;
  }) =>
  /** @throws unauthenticated, too-many-requests, unavailable */
  async ({
    credentials,
    clientAddress,
  }: {
    credentials: { user: string; password: string };
    clientAddress: string;
  }): Promise<User> => {
    const email = parseEmailAddress(credentials.user);
    // Sign-up refuses such a text too, so this answer reveals nothing about accounts.
    if (email === undefined) throw wrongPassword();
    const user = await signInAttempts.attempt({ email, source: clientNetwork(clientAddress) }, async () => {
      const found = await users.findByEmail(email);
      return (await passwords.verify(credentials.password, found?.passwordHash)) ? found : undefined;
    });
    if (user === undefined) throw wrongPassword();
    return user;
  };

export type PasswordCheck = ReturnType<typeof createPasswordCheck>;
