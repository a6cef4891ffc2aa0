import type { Passwords } from '#lib/auth/passwords.ts';
import { changePassword as contract } from '#lib/contracts/http/users.ts';
import { parseEmailAddress } from '#lib/domain/email-address.ts';
import { badInput, type FieldError, wrongPassword } from '#lib/domain/errors.ts';
import { findPasswordFault } from '#lib/domain/password-policy.ts';
import { httpHandler, type Request } from '#lib/http/http-handler.ts';
import type { Users } from '#lib/mysql/users.ts';
import type { PasswordCheck } from '#lib/reading/password-check.ts';
import { passwords } from '#lib/runtime/services/auth.ts';
import { users } from '#lib/runtime/services/mysql.ts';
import { passwordCheck } from '#lib/runtime/services/reading.ts';
import { revoke } from '#lib/runtime/services/writing.ts';
import type { Revoke } from '#lib/writing/revoke.ts';

type Uses = {
  passwordCheck: PasswordCheck;
  passwords: Pick<Passwords, 'hash'>;
  users: Pick<Users, 'changePassword'>;
  revoke: Revoke;
};

/** The faults of a new password that show without its user. The user's name would be revealed. */
export const faultsOf = ({ password }: Request<typeof contract>['input'], address: string): FieldError[] => {
  const fault = findPasswordFault(password, { name: address, email: parseEmailAddress(address) ?? address });
  return fault === undefined ? [] : [{ path: 'password', message: fault }];
};

/** Ends all access tokens as well. MySQL has the new password before Redis hears of their end. */
export const changePassword = async (
  request: Pick<Request<typeof contract>, 'input' | 'credentials' | 'clientAddress'>,
  { passwordCheck, passwords, users, revoke }: Uses,
) => {
  const { password } = request.input;
  const user = await passwordCheck(request);
  // With the user's name, which only the user may learn.
  const fault = findPasswordFault(password, user);
  if (fault !== undefined) throw badInput([{ path: 'password', message: fault }]);
  const generation = await users.changePassword(user, await passwords.hash(password));
  // Somebody else has changed the password since it was read.
  if (generation === undefined) throw wrongPassword();
  await revoke({ id: user.id, generation });
  return {};
};

export const handler = httpHandler({ ...contract, faultsOf }, changePassword, {
  passwordCheck,
  passwords,
  users,
  revoke,
});
