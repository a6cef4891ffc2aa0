import { signOut as contract } from '#lib/contracts/http/users.ts';
import { httpHandler, type Request } from '#lib/http/http-handler.ts';
import type { Users } from '#lib/mysql/users.ts';
import { users } from '#lib/runtime/services/mysql.ts';
import { revoke } from '#lib/runtime/services/writing.ts';
import type { Revoke } from '#lib/writing/revoke.ts';

type Uses = { users: Pick<Users, 'endTokens'>; revoke: Revoke };

/** Ends the access tokens of the caller, but none of a sign-in that came after this one's token had ended. */
export const signOut = async (
  { caller }: Pick<Request<typeof contract>, 'caller'>,
  { users, revoke }: Uses,
) => {
  await revoke({ id: caller.id, generation: await users.endTokens(caller) });
  return {};
};

export const handler = httpHandler(contract, signOut, { users, revoke });
