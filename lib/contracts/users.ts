import * as z from 'zod';
import { email, name, password } from './fields.ts';
import { route } from './route.ts';

export const signUp = route({
  function: 'signUp',
  method: 'POST',
  path: '/users',
  tag: 'Users',
  summary: 'Sign up',
  authentication: 'none',
  request: { body: z.strictObject({ name, email, password }) },
  response: z.object({ name: z.string(), email: z.string() }),
  creates: true,
  errors: ['bad-input', 'conflict', 'unavailable'],
});

export const createToken = route({
  function: 'createToken',
  method: 'POST',
  path: '/users/token',
  tag: 'Users',
  summary: 'Sign in: an access token for an e-mail address and a password',
  authentication: 'basic',
  request: {},
  response: z.object({
    accessToken: z.string(),
    tokenType: z.literal('Bearer'),
    expiresIn: z.int().describe('Seconds'),
  }),
  errors: ['unauthenticated', 'too-many-requests', 'unavailable'],
});
