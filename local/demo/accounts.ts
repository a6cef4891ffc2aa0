import { randomBytes } from 'node:crypto';
import * as z from 'zod';
import { limits } from '#lib/domain/limits.ts';
import type { Answer, Api, Call } from './api.ts';

const issued = z.object({ accessToken: z.string(), expiresIn: z.number() });
/** Tokens are renewed this long before they expire, so that none expires in flight. */
const renewMs = 60_000;

/** A user of this replay. `call` signs in if there is no token yet, or if the token expires soon. */
export type Account = { name: string; call: (wanted: Omit<Call, 'authorization'>) => Promise<Answer> };

/** Signs up a user with an address of its own. @throws Failure */
export const signUp = async (api: Api, replayId: string, index: number, sender: string): Promise<Account> => {
  const name = sender.slice(0, limits.name);
  const email = `sender-${index}.${replayId}@demo.example`;
  const password = randomBytes(18).toString('base64url');
  await api.call({
    method: 'POST',
    path: '/users',
    idempotencyKey: `${replayId}-user-${index}`,
    body: { name, email, password },
  });

  let token: { authorization: string; endsAt: number } | undefined;
  let signingIn: Promise<void> | undefined;
  const signIn = async () => {
    const { text } = await api.call({
      method: 'POST',
      path: '/users/token',
      authorization: `Basic ${Buffer.from(`${email}:${password}`).toString('base64')}`,
    });
    const { accessToken, expiresIn } = issued.parse(JSON.parse(text));
    token = {
      authorization: `Bearer ${accessToken}`,
      endsAt: performance.now() + expiresIn * 1000 - renewMs,
    };
  };
  const authorization = async (): Promise<string> => {
    if (token === undefined || performance.now() > token.endsAt) {
      signingIn ??= signIn().finally(() => {
        signingIn = undefined;
      });
      await signingIn;
    }
    return token?.authorization ?? '';
  };
  await authorization();
  return { name, call: async (wanted) => api.call({ ...wanted, authorization: await authorization() }) };
};
