import { eraseUser as contract } from '#lib/contracts/http/users.ts';
import { wrongPassword } from '#lib/domain/errors.ts';
import { httpHandler, type Request } from '#lib/http/http-handler.ts';
import type { Users } from '#lib/mysql/users.ts';
import type { PasswordCheck } from '#lib/reading/password-check.ts';
import { users } from '#lib/runtime/services/mysql.ts';
import { passwordCheck } from '#lib/runtime/services/reading.ts';
import { revoke } from '#lib/runtime/services/writing.ts';
import type { Revoke } from '#lib/writing/revoke.ts';

type Uses = { passwordCheck: PasswordCheck; users: Pick<Users, 'erase'>; revoke: Revoke };

/** Ends the account at once. `eraseDeleted` blanks its messages afterwards. */
export const eraseUser = async (
  request: Pick<Request<typeof contract>, 'credentials' | 'clientAddress'>,
  { passwordCheck, users, revoke }: Uses,
) => {
  const user = await passwordCheck(request);
  const generation = await users.erase(user);
  // Somebody else has changed the password since it was read.
  if (generation === undefined) throw wrongPassword();
  await revoke({ id: user.id, generation });
  return {};
};

export const handler = httpHandler(contract, eraseUser, { passwordCheck, users, revoke });
