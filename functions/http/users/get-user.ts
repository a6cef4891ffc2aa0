import { getUser as contract } from '#lib/contracts/http/users.ts';
import { unauthenticated } from '#lib/domain/errors.ts';
import { httpHandler, type Request } from '#lib/http/http-handler.ts';
import type { Users } from '#lib/mysql/users.ts';
import { users } from '#lib/runtime/services/mysql.ts';

type Uses = { users: Pick<Users, 'findProfile'> };

export const getUser = async ({ caller }: Pick<Request<typeof contract>, 'caller'>, { users }: Uses) => {
  const profile = await users.findProfile(caller.id);
  if (profile === undefined)
    throw unauthenticated('The account of this access token is gone.', 'token-of-nobody');
  return profile;
};

export const handler = httpHandler(contract, getUser, { users });
