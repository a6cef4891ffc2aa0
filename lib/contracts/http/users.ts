import * as z from 'zod';
import { email, examples, name, password } from '../fields.ts';
import { route } from './route.ts';

const user = z
  .object({
    name: z.string().meta({ examples: [examples.user] }),
    email: z.string().meta({ examples: [examples.email] }),
    handle: z.string().meta({
      description: 'Names the user to other users; never changes',
      examples: [examples.handle],
    }),
  })
  .meta({ id: 'User', description: 'A user, as only this user sees it' });

export const signUp = route({
  function: 'signUp',
  method: 'POST',
  path: '/users',
  tag: 'Users',
  summary: 'Sign up',
  authentication: 'none',
  description:
    'The e-mail address is stored in lower case. The new user can sign in at once. The password must not be a common one, the name or the address. An `Idempotency-Key` is valid for one e-mail address.',
  request: {
    body: z.strictObject({ name: name.meta({ examples: [examples.user] }), email, password }),
  },
  response: user,
  creates: true,
  errors: ['bad-input', 'conflict', 'unavailable'],
});

export const createToken = route({
  function: 'createToken',
  method: 'POST',
  path: '/users/token',
  tag: 'Users',
  summary: 'Sign in with e-mail address and password; returns an access token',
  authentication: 'basic',
  description:
    'Requires `Authorization: Basic base64(email:password)`, in UTF-8. An unknown address and a wrong password get the same answer. After five failures with one account, the client must wait.',
  request: {},
  response: z
    .object({
      accessToken: z
        .string()
        .meta({ description: 'For `Authorization: Bearer`; opaque', examples: ['eyJhbGciOiJkaXIi…'] }),
      tokenType: z.literal('Bearer'),
      expiresIn: z.int().meta({ description: 'Seconds', examples: [3600] }),
    })
    .meta({ id: 'AccessToken', description: 'An access token' }),
  errors: ['unauthenticated', 'too-many-requests', 'unavailable'],
});

export const changePassword = route({
  function: 'changePassword',
  method: 'PUT',
  path: '/users/me/password',
  tag: 'Users',
  summary: 'Change the password; every access token issued before ends',
  description:
    'Requires `Authorization: Basic base64(email:old password)`, and counts as a sign-in. A refused body is 400 before anybody looks at the old password. Sign in again with the new password afterwards. After a 503 the new password may be in use: try it.',
  authentication: 'basic',
  request: { body: z.strictObject({ password }) },
  response: z.object({}),
  errors: ['unavailable'],
});

export const signOut = route({
  function: 'signOut',
  method: 'DELETE',
  path: '/users/me/tokens',
  tag: 'Users',
  summary: 'Sign out everywhere',
  description:
    'Every access token of the user ends, also the one of this request. Passwords and later sign-ins are not affected. After a 503 the tokens may have ended: a second request then answers 401.',
  authentication: 'bearer',
  request: {},
  response: z.object({}),
  errors: ['unavailable'],
});

export const eraseUser = route({
  function: 'eraseUser',
  method: 'DELETE',
  path: '/users/me',
  tag: 'Users',
  summary: 'Erase the account',
  description:
    'Requires `Authorization: Basic base64(email:password)`, and counts as a sign-in. Every access token ends, and the e-mail address is free, at once. Within an hour all messages of the user are deleted, also those of other users’ applications; each then shows `Deleted user` and no `sender`. Applications and chats stay, and nobody can edit them: delete them first to have them gone. After a 503 the account may be gone. This cannot be undone.',
  authentication: 'basic',
  request: {},
  response: z.object({}),
  errors: ['unavailable'],
});

export const getUser = route({
  function: 'getUser',
  method: 'GET',
  path: '/users/me',
  tag: 'Users',
  summary: 'The signed-in user',
  description: 'The handle is the `sender` of the messages of this user.',
  authentication: 'bearer',
  request: {},
  response: user,
  errors: ['unavailable'],
});
