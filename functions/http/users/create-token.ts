import type { AccessTokens } from '#lib/auth/access-tokens.ts';
import { createToken as contract } from '#lib/contracts/http/users.ts';
import { httpHandler, type Request } from '#lib/http/http-handler.ts';
import type { PasswordCheck } from '#lib/reading/password-check.ts';
import { accessTokens } from '#lib/runtime/services/auth.ts';
import { passwordCheck } from '#lib/runtime/services/reading.ts';

type Uses = { passwordCheck: PasswordCheck; accessTokens: Pick<AccessTokens, 'issue'> };

/** The generation of the token was read with the password: a password that changes meanwhile ends the token. */
export const createToken = async (
  request: Pick<Request<typeof contract>, 'credentials' | 'clientAddress'>,
  { passwordCheck, accessTokens }: Uses,
) => ({
  ...(await accessTokens.issue(await passwordCheck(request))),
  tokenType: 'Bearer' as const,
});

export const handler = httpHandler(contract, createToken, { passwordCheck, accessTokens });
